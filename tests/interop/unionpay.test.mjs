// A program of Python's standard library and openssl as witness for UnionPay, both ways.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { startGateway, until } from './processes.mjs';
import { startPayment, startProvider } from './stage.mjs';

const program = fileURLToPath(new URL('unionpay.py', import.meta.url));
const MER_ID = '777290058167151';
const NAME = '/C=CN/O=witness/CN=';

let folder;
let gateway;
let provider;
let account;
const paid = new Map();

const openssl = (...args) => execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });
const witness = (verb, file, form) => spawnSync('python3', [program, verb, join(folder, file)], { input: form, encoding: 'utf8' });
const form = (fields) => new URLSearchParams(fields).toString();

/** A root, a middle authority, and under it the certificates of UnionPay and of the merchant. */
async function issue() {
  await writeFile(join(folder, 'ca.ext'), 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n');
  openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'root.key', '-out', 'root.pem', '-days', '30', '-subj', `${NAME}root`);
  const leaf = (name, subject, by, ...more) => {
    openssl('req', '-newkey', 'rsa:2048', '-nodes', '-utf8', '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `${NAME}${subject}`);
    openssl('x509', '-req', '-in', `${name}.csr`, '-CA', `${by}.pem`, '-CAkey', `${by}.key`, '-CAcreateserial', '-days', '30', '-out', `${name}.pem`, ...more);
  };
  leaf('middle', 'middle', 'root', '-extfile', 'ca.ext');
  leaf('merchant', `041@Z2014-11-11@${MER_ID}:SIGN@00000003`, 'middle');
  leaf('sealing', '041@8310000000083040@中国银联股份有限公司@00016496', 'middle');
  leaf('unionpay', '041@8310000000083040@中国银联股份有限公司@00016495', 'middle');
}

const read = (name) => readFile(join(folder, name), 'utf8');

async function told(fields, more) {
  const all = {
    version: '5.1.0', encoding: 'UTF-8', signMethod: '01', accessType: '0', merId: MER_ID, ...fields, ...more,
    signPubKeyCert: await read('unionpay.pem'),
  };
  const made = witness('sign', 'unionpay.key', form(all));
  assert.equal(made.status, 0, made.stderr);
  return Object.fromEntries(new URLSearchParams(made.stdout.trim()));
}

async function answer({ body }) {
  const checked = witness('verify', 'merchant.pem', body);
  assert.equal(checked.stdout.trim(), 'ok', checked.stderr);
  const asked = Object.fromEntries(new URLSearchParams(body));
  const found = paid.get(asked.orderId);
  const reply = await told(
    { txnType: '00', txnSubType: '00', bizType: '000000', orderId: asked.orderId, txnTime: asked.txnTime, respCode: '00', respMsg: '成功' },
    found ? { origRespCode: '00', txnAmt: '1234', currencyCode: '156', queryId: found, traceTime: '1126100000' } : { respCode: '34' },
  );
  return { body: Object.entries(reply).map(([name, value]) => `${name}=${value}`).join('&') };
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tollgate-unionpay-'));
  await issue();
  provider = await startProvider(answer);
  gateway = await startGateway('--private-fields', 'pci-dss-saq-d');
  account = await gateway.post('/v1/accounts', {
    plugin: 'unionpay', name: 'witness', live: false, simulator: true, settings: { mer_id: MER_ID },
    secrets: {
      'merchant-private-key': await read('merchant.key'), 'merchant-certificate': await read('merchant.pem'),
      'unionpay-root': (await read('root.pem')) + (await read('middle.pem')),
      'unionpay-encryption': await read('sealing.pem'),
    },
    origins: { gateway: provider.url, file: provider.url },
  });
});

after(async () => {
  await gateway?.stop();
  await provider?.stop();
  await rm(folder, { recursive: true, force: true });
});

test('the witness accepts our form and our query, and what it signs is believed', async () => {
  const payment = await startPayment(gateway, account, 'page', 'desktop', 'CNY');
  const { fields, url } = payment.action;
  assert.ok(url.endsWith('/gateway/api/frontTransReq.do'), url);
  assert.equal(witness('verify', 'merchant.pem', form(fields)).stdout.trim(), 'ok');
  const changed = fields.map(([name, value]) => [name, name === 'txnAmt' ? '1' : value]);
  assert.notEqual(witness('verify', 'merchant.pem', form(changed)).status, 0);
  const asked = Object.fromEntries(fields);
  const serial = openssl('x509', '-in', 'merchant.pem', '-serial', '-noout').toString().trim().split('=')[1];
  assert.equal(asked.certId, BigInt(`0x${serial}`).toString(10));

  paid.set(asked.orderId, '202611261000000000001');
  const notice = await told({
    txnType: '01', txnSubType: '01', bizType: '000201', orderId: asked.orderId, txnTime: asked.txnTime, txnAmt: '1234',
    currencyCode: '156', queryId: '202611261000000000001', respCode: '00', respMsg: 'Success!', traceTime: '1126100000',
  });
  const post = async (given) => (await fetch(account.notify_url, {
    method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded;charset=UTF-8' }, body: form(given),
  })).status;
  assert.equal(await post({ ...notice, txnAmt: '1' }), 400);
  const merchants = { ...notice, signPubKeyCert: await read('merchant.pem') };
  const forged = Object.fromEntries(new URLSearchParams(witness('sign', 'merchant.key', form(merchants)).stdout.trim()));
  assert.equal(await post(forged), 400, 'a merchant of the same authority speaks for nobody');
  assert.equal(await post(notice), 200);
  await until('paid', () => gateway.get(`/v1/payments/${payment.id}`), ({ state }) => state === 'succeeded');
  assert.ok(provider.requests.length >= 1, 'it was asked about');
});

test('the witness opens the card that was sealed to it, and nobody else reads it', async () => {
  const card = { accNo: '6212142600000000173', phoneNo: '13955550123', cvn2: '739', expired: '3311' };
  const payment = await startPayment(gateway, account, 'page', 'desktop', 'CNY', { private_fields: card });
  const { fields } = payment.action;
  assert.equal(witness('verify', 'merchant.pem', form(fields)).stdout.trim(), 'ok');
  const opened = witness('open', 'sealing.key', form(fields));
  assert.equal(opened.status, 0, opened.stderr);
  assert.deepEqual(Object.fromEntries(new URLSearchParams(opened.stdout.trim())), card);
  const serial = openssl('x509', '-in', 'sealing.pem', '-serial', '-noout').toString().trim().split('=')[1];
  assert.equal(Object.fromEntries(fields).encryptCertId, BigInt(`0x${serial}`).toString(10));
  assert.notEqual(witness('open', 'merchant.key', form(fields)).stdout.trim(), opened.stdout.trim());
});
