// Two kits for WeChat Pay that are not ours: one plays the provider to the gateway and the merchant to the simulator, the other
// checks what each of ours has signed and sealed.

import assert from 'node:assert/strict';
import { X509Certificate, createPublicKey, randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';

import { startGateway, startSimulator, until } from './processes.mjs';
import { control, startPayment, startProvider } from './stage.mjs';
import { keyPair } from './witness.mjs';

const require = createRequire(import.meta.url);
const { Aes, Formatter, Rsa } = require('wechatpay-axios-plugin');
const Second = require('wechatpay-node-v3').default ?? require('wechatpay-node-v3');

const SERIAL = '25F8AA5452D55497C24BA57DC81B1E5915DC2E77';
const KEY_ID = 'PUB_KEY_ID_0000000000000000000000000001';
const V3_KEY = '53D67FCB97E68F9998CBD17ED7A8D1E2';
const [APPID, MCHID] = ['wx55955316af4ef13', '1600314069'];
const merchant = keyPair();
const platform = keyPair();

let gateway;
let provider;
let simulator;
let account;
const orders = new Map();

const pem = (key, label) => `-----BEGIN ${label}-----\n${key.replace(/-----[^-]+-----|\s/g, '')}\n-----END ${label}-----\n`;

/** What the kit says of a request of ours: who signed it, over what. */
function kitAccepts({ method, url, headers, body }) {
  const parts = Object.fromEntries([...headers.authorization.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, value]));
  assert.equal(parts.mchid, MCHID);
  assert.equal(parts.serial_no, SERIAL);
  const text = Formatter.request(method, url, parts.timestamp, parts.nonce_str, body);
  assert.ok(Rsa.verify(text, parts.signature, pem(merchant.public, 'PUBLIC KEY')), `the kit refuses ${text}`);
  assert.ok(!Rsa.verify(`${text}x`, parts.signature, pem(merchant.public, 'PUBLIC KEY')));
}

function signed(body) {
  const [time, nonce] = [String(Formatter.timestamp()), Formatter.nonce()];
  const signature = Rsa.sign(Formatter.response(time, nonce, body), pem(platform.private, 'PRIVATE KEY'));
  return {
    'content-type': 'application/json', 'wechatpay-timestamp': time, 'wechatpay-nonce': nonce,
    'wechatpay-signature': signature, 'wechatpay-serial': KEY_ID,
  };
}

function transaction(order) {
  return {
    appid: APPID, mchid: MCHID, out_trade_no: order.out_trade_no, transaction_id: `42000${order.out_trade_no}`,
    trade_type: 'NATIVE', trade_state: 'SUCCESS', trade_state_desc: 'paid', success_time: '2026-11-26T10:00:00+08:00',
    amount: { total: order.amount.total, payer_total: order.amount.total, currency: 'CNY' },
  };
}

function answer(request) {
  kitAccepts(request);
  const given = request.body && JSON.parse(request.body);
  if (request.url === '/v3/pay/transactions/native') {
    orders.set(given.out_trade_no, given);
    const body = JSON.stringify({ code_url: 'weixin://wxpay/bizpayurl?pr=witness' });
    return { headers: signed(body), body };
  }
  const number = request.url.match(/out-trade-no\/(\w+)\?mchid/)?.[1];
  const body = JSON.stringify(transaction(orders.get(number)));
  return { headers: signed(body), body };
}

before(async () => {
  provider = await startProvider(answer);
  [gateway, simulator] = await Promise.all([startGateway(), startSimulator()]);
  account = await gateway.post('/v1/accounts', {
    plugin: 'wechatpay', name: 'witness', live: false, simulator: true,
    settings: { appid: APPID, mchid: MCHID, merchant_serial: SERIAL },
    secrets: { 'merchant-private-key': merchant.private, 'api-v3-key': V3_KEY, 'wechatpay-public-key': `${KEY_ID}:${platform.public}` },
    origins: { api: provider.url, h5: provider.url },
  });
});

after(async () => {
  await gateway?.stop();
  await simulator?.stop();
  await provider?.stop();
});

test('the kit accepts our requests, and its replies and notifications are believed', async () => {
  const payment = await startPayment(gateway, account, 'native', 'desktop', 'CNY');
  assert.equal(payment.action.content, 'weixin://wxpay/bizpayurl?pr=witness', JSON.stringify(payment));
  const order = orders.get(payment.reference);
  assert.deepEqual(order.amount, { total: 1234, currency: 'CNY' });

  const nonce = randomBytes(6).toString('hex');
  const body = JSON.stringify({
    id: 'EV-1', create_time: '2026-11-26T10:00:01+08:00', event_type: 'TRANSACTION.SUCCESS', resource_type: 'encrypt-resource',
    resource: {
      original_type: 'transaction', algorithm: 'AEAD_AES_256_GCM', nonce, associated_data: 'transaction',
      ciphertext: Aes.AesGcm.encrypt(JSON.stringify(transaction(order)), V3_KEY, nonce, 'transaction'),
    },
  });
  const post = async (headers) => (await fetch(account.notify_url, { method: 'POST', headers, body })).status;
  const headers = signed(body);
  assert.equal(await post({ ...headers, 'wechatpay-nonce': 'another' }), 401);
  assert.equal(await post(headers), 200);
  await until('paid', () => gateway.get(`/v1/payments/${payment.id}`), ({ state }) => state === 'succeeded');
});

test('both kits are understood by the simulator and accept what it signs and seals', async () => {
  const { account: body } = simulator.ready.providers.find(({ plugin }) => plugin === 'wechatpay');
  const { api } = body.origins;
  const key = pem(body.secrets['merchant-private-key'], 'PRIVATE KEY');
  const ask = async (method, path, content = '') => {
    const url = new URL(`${api}${path}`);
    const [time, nonce] = [String(Formatter.timestamp()), Formatter.nonce()];
    const text = Formatter.request(method, url.pathname + url.search, time, nonce, content);
    const authorization = Formatter.authorization(body.settings.mchid, nonce, Rsa.sign(text, key), time, body.settings.merchant_serial);
    return fetch(url, {
      method, body: content || undefined,
      headers: { authorization, accept: 'application/json', 'user-agent': 'witness', 'content-type': 'application/json' },
    });
  };
  const v3 = body.secrets['api-v3-key'];
  const opened = ({ ciphertext, nonce, associated_data: aad }) => Aes.AesGcm.decrypt(ciphertext, v3, nonce, aad);
  const list = async () => {
    const listed = await ask('GET', '/v3/certificates');
    const text = await listed.text();
    assert.equal(listed.status, 200, text);
    return JSON.parse(text).data;
  };
  const [{ serial_no: serial, encrypt_certificate: sealed }] = await list();
  const certificate = opened(sealed);
  const second = Object.create(Second.prototype);
  assert.equal(second.decipher_gcm(sealed.ciphertext, sealed.associated_data, sealed.nonce, v3), certificate);

  const made = await ask('POST', '/v3/pay/transactions/native', JSON.stringify({
    appid: body.settings.appid, mchid: body.settings.mchid, description: '茶', out_trade_no: 'WITNESS1',
    notify_url: 'http://127.0.0.1:9/notify', amount: { total: 1, currency: 'CNY' },
  }));
  const reply = await made.text();
  assert.equal(made.status, 200, reply);
  const from = (name) => made.headers.get(`wechatpay-${name}`);
  assert.equal(from('serial'), serial);
  const spki = createPublicKey(certificate).export({ type: 'spki', format: 'pem' });
  assert.ok(Rsa.verify(Formatter.response(from('timestamp'), from('nonce'), reply), from('signature'), spki));
  Second.certificates = { [serial]: spki };
  const checked = { timestamp: from('timestamp'), nonce: from('nonce'), body: reply, serial, signature: from('signature') };
  assert.ok(await second.verifySign(checked));
  assert.ok(!(await second.verifySign({ ...checked, body: `${reply} ` })));

  // What the list says of each certificate's time is what stands in it, of one that ends in an hour too.
  await control(simulator, 'wechatpay/special/certificate', { life_s: 3600 });
  const all = await list();
  assert.equal(all.length, 2);
  for (const { effective_time: begins, expire_time: ends, encrypt_certificate: one } of all) {
    const read = new X509Certificate(opened(one));
    assert.equal(Date.parse(begins), Date.parse(read.validFrom));
    assert.equal(Date.parse(ends), Date.parse(read.validTo));
  }
});
