// A shop's part at our gateway, beside a provider that is not ours or our simulator.

import { createServer } from 'node:http';

/** A provider on a free loopback port: `answer` gets each request with its whole body, and gives status, headers and body. */
export async function startProvider(answer) {
  const requests = [];
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const seen = { method: request.method, url: request.url, headers: request.headers, body: Buffer.concat(chunks).toString() };
    requests.push(seen);
    try {
      const { status = 200, headers = {}, body = '' } = await answer(seen);
      response.writeHead(status, headers).end(body);
    } catch (error) {
      response.writeHead(500).end(String(error));
    }
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const stop = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => { server.close(resolve); });
  };
  return { url: `http://127.0.0.1:${server.address().port}`, requests, stop };
}

/** A way to somebody's API on which each call is written down, with its answer. */
export async function startRecorder(there) {
  const seen = [];
  const between = await startProvider(async ({ method, url, headers, body: content }) => {
    const { host, connection, 'content-length': length, ...others } = headers;
    const call = { method: method.toLowerCase(), url, headers: others, content };
    // What is not answered was sent all the same.
    seen.push(call);
    const response = await fetch(`${there}${url}`, { method, headers: others, body: content || undefined });
    Object.assign(call, { status: response.status, reply: await response.text() });
    return { status: call.status, headers: { 'content-type': response.headers.get('content-type') ?? '' }, body: call.reply };
  });
  return { url: between.url, seen, stop: between.stop };
}

let number = 0;

/** An order and a payment of it. */
export async function startPayment(gateway, account, method, surface, currency, more = {}) {
  number += 1;
  const order = await gateway.post('/v1/orders', { number: `I-${number}`, amount: 1234, currency, subject: 'Tea 茶' });
  return gateway.post(`/v1/orders/${order.id}/payments`, { account_id: account.id, method, surface, ...more });
}

/** Tells the simulator something. */
export async function control(simulator, path, body) {
  const response = await fetch(`${simulator.ready.url}/control/${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { 'content-type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
  const text = await response.text();
  return text ? JSON.parse(text) : {};
}
