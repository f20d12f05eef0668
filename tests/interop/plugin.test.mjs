// The gateway with the Alipay component, against a provider made of Alipay's own kit.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';

import { startGateway, until } from './processes.mjs';
import { keyPair, kit, notificationText, signCall, signText } from './witness.mjs';

const APP_ID = '2021000000000001';
const SELLER_ID = '2088000000000001';
const app = keyPair();
const alipay = keyPair();

/** The provider's eyes: believes the app's key. */
const provider = kit({ appId: APP_ID, signsWith: alipay.private, believes: app.public });
/** The merchant's eyes: signs with the app's key. */
const merchant = kit({ appId: APP_ID, signsWith: app.private, believes: alipay.public });

let gateway;
let server;
let account;
const calls = [];
const replies = {};

/** A call in whichever way its parameters are spread over query and body. */
function assertKitAccepts(params) {
  assert.equal(params.app_id, APP_ID);
  assert.equal(params.sign_type, 'RSA2');
  assert.ok(provider.checkNotifySignV2(params), `the kit refuses the signature of ${JSON.stringify(params)}`);
  assert.equal(signCall(params, merchant), params.sign, 'the kit signs the same call otherwise');
  const other = { ...params, biz_content: params.biz_content.replace(/\d/, (digit) => (Number(digit) + 1) % 10) };
  assert.ok(!provider.checkNotifySignV2(other), 'the kit accepts a changed call');
}

async function answerCall(request, response) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const query = new URL(request.url, 'http://127.0.0.1').searchParams;
  const body = new URLSearchParams(Buffer.concat(chunks).toString());
  const params = Object.fromEntries([...query, ...body]);
  calls.push(params);
  const content = JSON.parse(params.biz_content);
  const inner = JSON.stringify(replies[params.method]?.(content) ?? { code: '40004', msg: 'Business Failed', sub_code: 'ACQ.TRADE_NOT_EXIST', sub_msg: '交易不存在' });
  const sign = signText(inner, alipay.privatePem);
  response.writeHead(200, { 'content-type': 'text/html;charset=utf-8' });
  response.end(`{"${params.method.replaceAll('.', '_')}_response":${inner},"sign":"${sign}"}`);
}

before(async () => {
  server = createServer((request, response) => {
    answerCall(request, response).catch((error) => response.writeHead(500).end(String(error)));
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  const origin = `http://127.0.0.1:${server.address().port}`;
  gateway = await startGateway();
  account = await gateway.post('/v1/accounts', {
    plugin: 'alipay', name: 'witness', live: false, simulator: true,
    settings: { app_id: APP_ID, seller_id: SELLER_ID },
    secrets: { 'app-private-key': app.private, 'alipay-public-key': alipay.public },
    origins: { gateway: origin, bill: origin },
  });
});

after(async () => {
  await gateway?.stop();
  server?.closeAllConnections();
  await new Promise((resolve) => { server.close(resolve); });
});

let numbers = 0;

async function pay(method, surface, inputs) {
  numbers += 1;
  const order = await gateway.post('/v1/orders', {
    number: `W-${numbers}`, amount: 1234, currency: 'CNY', subject: '测试 + tea & "cups" 100%', description: 'a=b&c',
    items: [{ name: '茶杯', price: 617, quantity: 2 }],
  });
  return gateway.post(`/v1/orders/${order.id}/payments`, { account_id: account.id, method, surface, inputs });
}

/** What the payer's browser would send to the provider. */
function carried(payment) {
  const { action } = payment;
  const params = Object.fromEntries(new URL(action.url).searchParams);
  if (action.kind === 'post_form') Object.assign(params, Object.fromEntries(action.fields));
  return params;
}

function notification(payment, changes = {}) {
  const fields = {
    gmt_create: '2026-11-23 08:00:00', charset: 'utf-8', gmt_payment: '2026-11-23 08:00:05',
    notify_time: '2026-11-23 08:00:06', subject: '测试 + tea & "cups" 100%', buyer_id: '2088000000000002',
    invoice_amount: '12.34', version: '1.0', notify_id: `n${payment.reference}`,
    fund_bill_list: '[{"amount":"12.34","fundChannel":"ALIPAYACCOUNT"}]', notify_type: 'trade_status_sync',
    out_trade_no: payment.reference, total_amount: '12.34', trade_status: 'TRADE_SUCCESS',
    trade_no: `20261123220014${payment.reference.replace(/\D/g, '').slice(0, 10)}`, auth_app_id: APP_ID,
    receipt_amount: '12.34', point_amount: '0.00', app_id: APP_ID, buyer_pay_amount: '12.34', seller_id: SELLER_ID,
    ...changes,
  };
  return { ...fields, sign_type: 'RSA2', sign: signText(notificationText(fields), alipay.privatePem) };
}

async function notify(fields) {
  const response = await fetch(new URL(new URL(account.notify_url).pathname, gateway.url), {
    method: 'POST', body: new URLSearchParams(fields).toString(),
    headers: { 'content-type': 'application/x-www-form-urlencoded; text/html; charset=utf-8' },
  });
  return { status: response.status, body: await response.text() };
}

/** From now on the provider says that a payment was paid. */
function paidAtProvider(payment, trade_no) {
  replies['alipay.trade.query'] = ({ out_trade_no }) => (out_trade_no === payment.reference ? {
    code: '10000', msg: 'Success', buyer_logon_id: '159****5620', buyer_pay_amount: '12.34', buyer_user_id: '2088000000000002',
    invoice_amount: '12.34', out_trade_no, point_amount: '0.00', receipt_amount: '12.34', send_pay_date: '2026-11-23 08:00:05',
    total_amount: '12.34', trade_no, trade_status: 'TRADE_SUCCESS',
  } : undefined);
}

test('the kit accepts the form of a desktop payment', async () => {
  const payment = await pay('page', 'desktop', { page_mode: 'form' });
  assert.equal(payment.action.kind, 'post_form');
  const params = carried(payment);
  assert.equal(params.method, 'alipay.trade.page.pay');
  assertKitAccepts(params);
  const content = JSON.parse(params.biz_content);
  assert.equal(content.out_trade_no, payment.reference);
  assert.equal(content.total_amount, '12.34');
});

test('the kit accepts the redirects of desktop and phone payments', async () => {
  for (const [method, surface, api] of [['page', 'desktop', 'alipay.trade.page.pay'], ['wap', 'phone', 'alipay.trade.wap.pay']]) {
    const payment = await pay(method, surface, { page_mode: 'redirect' });
    assert.equal(payment.action.kind, 'redirect');
    const params = carried(payment);
    assert.equal(params.method, api);
    assertKitAccepts(params);
  }
});

test('the kit accepts the string for an app', async () => {
  const payment = await pay('app', 'app');
  assert.equal(payment.action.kind, 'client_parameters');
  const params = Object.fromEntries(payment.action.content.split('&').map((pair) => {
    const at = pair.indexOf('=');
    return [pair.slice(0, at), decodeURIComponent(pair.slice(at + 1))];
  }));
  assert.equal(params.method, 'alipay.trade.app.pay');
  assertKitAccepts(params);
});

test('the kit accepts the call for a QR code, and its reply is believed', async () => {
  replies['alipay.trade.precreate'] = ({ out_trade_no }) => ({ code: '10000', msg: 'Success', out_trade_no, qr_code: 'https://qr.alipay.com/bax00000000000000001' });
  const payment = await pay('qr', 'desktop');
  assertKitAccepts(calls.findLast(({ method }) => method === 'alipay.trade.precreate'));
  assert.equal(payment.action.kind, 'qr_code');
  assert.equal(payment.action.content, 'https://qr.alipay.com/bax00000000000000001');
});

test('a notification signed with the kit is accepted, and one that was changed is not', async () => {
  const payment = await pay('page', 'desktop');
  const fields = notification(payment);
  assert.ok(merchant.checkNotifySignV2(fields), 'the kit refuses the notification');
  const changed = { ...fields, total_amount: '12.35' };
  assert.ok(!merchant.checkNotifySignV2(changed));

  assert.notEqual((await notify(changed)).body, 'success');
  const untouched = await gateway.get(`/v1/payments/${payment.id}`);
  assert.equal(untouched.state, payment.state);

  paidAtProvider(payment, fields.trade_no);
  assert.deepEqual(await notify(fields), { status: 200, body: 'success' });
  assertKitAccepts(calls.findLast(({ method }) => method === 'alipay.trade.query'));
  const paid = await gateway.get(`/v1/payments/${payment.id}`);
  assert.equal(paid.state, 'succeeded');
  assert.equal(paid.taken, 1234);
  assert.equal(paid.provider_reference, fields.trade_no);
});

test('the kit accepts the calls of a refund', async () => {
  const payment = await pay('page', 'desktop');
  const fields = notification(payment);
  paidAtProvider(payment, fields.trade_no);
  assert.equal((await notify(fields)).body, 'success');
  const money = { out_trade_no: payment.reference, trade_no: fields.trade_no };
  replies['alipay.trade.refund'] = () => ({
    code: '10000', msg: 'Success', ...money, buyer_logon_id: '159****5620', buyer_user_id: '2088000000000002', fund_change: 'Y', refund_fee: '2.00',
  });
  replies['alipay.trade.fastpay.refund.query'] = ({ out_request_no }) => ({
    code: '10000', msg: 'Success', ...money, out_request_no, refund_amount: '2.00', refund_status: 'REFUND_SUCCESS', total_amount: '12.34',
  });
  const asked = await gateway.post('/v1/refunds', { payment_id: payment.id, number: 'W-R1', amount: 200, reason: '杯子 broken' });
  const refund = await until('the refund', () => gateway.get(`/v1/refunds/${asked.id}`), ({ state }) => state === 'succeeded');
  assert.equal(refund.amount, 200);
  const call = calls.findLast(({ method }) => method === 'alipay.trade.refund');
  assertKitAccepts(call);
  assert.equal(JSON.parse(call.biz_content).refund_amount, '2.00');
});
