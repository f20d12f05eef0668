// Our programs as processes: started on a free loopback port, and stopped when the test file ends.

import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const READY_WITHIN_MS = 60_000;

/** Starts a program and gives the object that it prints when it is ready, and `stop`. */
async function start(variable, args) {
  const program = process.env[variable];
  if (!program) throw new Error(`${variable} names no program: run this through cargo xtask test interop`);
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text) => { log = (log + text).slice(-8000); });
  const stop = () => new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.once('exit', resolve);
    child.kill('SIGKILL');
  });
  const line = await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${variable} did not get ready: ${log}`)), READY_WITHIN_MS);
    const finish = (done) => (value) => { clearTimeout(timer); done(value); };
    createInterface({ input: child.stdout }).once('line', finish(resolve));
    child.once('exit', finish(() => reject(new Error(`${variable} ended: ${log}`))));
    child.once('error', finish(reject));
  }).catch(async (error) => { await stop(); throw error; });
  return { ready: JSON.parse(line), log: () => log, stop };
}

/** The simulator, with its clock so fast that a notification that failed is repeated at once. */
export function startSimulator() {
  return start('TOLLGATE_SIMULATOR_BIN', ['--listen', '127.0.0.1:0', '--time-scale', '1000', '--bill-ready-at-once']);
}

/** The gateway on an empty database, with the real components and `more` flags, and a client for its API. */
export async function startGateway(...more) {
  const data = await mkdtemp(join(tmpdir(), 'tollgate-interop-'));
  const gateway = await start('TOLLGATE_BIN', [
    'serve', '--listen', '127.0.0.1:0', '--data', data, '--plugins', process.env.TOLLGATE_PLUGINS,
    '--simulators', '--bills-at-once', ...more,
  ]);
  const { url, api_key: key } = gateway.ready;
  const call = async (method, path, body) => {
    const response = await fetch(new URL(path, url), {
      method,
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: body && JSON.stringify(body),
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${JSON.stringify(answer)}\n${gateway.log()}`);
    return answer;
  };
  const stop = async () => {
    await gateway.stop();
    await rm(data, { recursive: true, force: true });
  };
  return { url, get: (path) => call('GET', path), post: (path, body) => call('POST', path, body), stop };
}

/** Asks until the answer is as wanted. */
export async function until(what, ask, wanted, patience_ms = 30_000) {
  const end = Date.now() + patience_ms;
  for (;;) {
    const found = await ask();
    if (wanted(found)) return found;
    if (Date.now() > end) throw new Error(`${what}: ${JSON.stringify(found)}`);
    await new Promise((resolve) => { setTimeout(resolve, 50); });
  }
}
