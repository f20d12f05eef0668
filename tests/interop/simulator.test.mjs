// Alipay's own kit as a merchant of the simulator.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';

import { forms, submit } from './pages.mjs';
import { startSimulator, until } from './processes.mjs';
import { keyPair, kit } from './witness.mjs';

let simulator;
let server;
let sdk;
let notify_url;
const notifications = [];

const first = (value) => (Array.isArray(value) ? value[0] : value);

before(async () => {
  server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    notifications.push(Object.fromEntries(new URLSearchParams(Buffer.concat(chunks).toString())));
    response.end('success');
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  notify_url = `http://127.0.0.1:${server.address().port}/notify`;
  simulator = await startSimulator();
  const { account } = simulator.ready.providers.find(({ plugin }) => plugin === 'alipay');
  sdk = kit({
    appId: account.settings.app_id,
    gateway: `${account.origins.gateway}/gateway.do`,
    signsWith: first(account.secrets['app-private-key']),
    believes: first(account.secrets['alipay-public-key']),
  });
});

after(async () => {
  await simulator?.stop();
  server?.closeAllConnections();
  await new Promise((resolve) => { server.close(resolve); });
});

const validated = { validateSign: true };
const content = (outTradeNo, others = {}) => ({ outTradeNo, totalAmount: '12.34', subject: '测试 + tea "cups"', ...others });

async function page(response) {
  assert.equal(response.status, 200);
  return { html: await response.text(), url: response.url };
}

/** Presses the payer's button and gives where the browser is sent. */
async function pressPay({ html, url }) {
  for (const form of forms(html, url)) {
    const button = form.buttons.find(({ label, value }) => /pay/i.test(`${label} ${value ?? ''}`));
    if (button) return submit(form, button);
  }
  throw new assert.AssertionError({ message: `no button to pay on ${html}` });
}

const told = (out_trade_no, test) => until(
  `a notification of ${out_trade_no}`,
  () => notifications.find((fields) => fields.out_trade_no === out_trade_no && test(fields)),
  Boolean,
);

test('calls are understood and the kit accepts the replies', async () => {
  const created = await sdk.exec('alipay.trade.precreate', { notify_url, bizContent: content('KIT1') }, validated);
  assert.equal(created.code, '10000', JSON.stringify(created));
  assert.equal(created.outTradeNo, 'KIT1');
  assert.match(created.qrCode, /^https?:/);

  const missing = await sdk.exec('alipay.trade.query', { bizContent: { outTradeNo: 'NONE' } }, validated);
  assert.equal(missing.code, '40004');
  assert.equal(missing.subCode, 'ACQ.TRADE_NOT_EXIST');
});

test('the kit refuses a reply that was changed', async () => {
  const params = new URLSearchParams(sdk.sdkExecute('alipay.trade.query', { bizContent: { outTradeNo: 'NONE' } }));
  const response = await fetch(sdk.config.gateway, { method: 'POST', body: params });
  const raw = await response.text();
  const key = 'alipay_trade_query_response';
  const { sign } = JSON.parse(raw);
  sdk.checkResponseSign(raw, key, sign, '');
  assert.throws(() => sdk.checkResponseSign(raw.replace('40004', '10000'), key, sign, ''));
  assert.equal(sdk.getSignStr(raw, key), raw.slice(raw.indexOf('{', 1), raw.lastIndexOf('}', raw.length - 2) + 1));
});

test('a call signed with another key is refused', async () => {
  const stranger = kit({ ...sdk.config, gateway: sdk.config.gateway, signsWith: keyPair().private, believes: keyPair().public });
  const answer = await stranger.exec('alipay.trade.query', { bizContent: { outTradeNo: 'NONE' } });
  assert.equal(answer.code, '40002', JSON.stringify(answer));
  assert.equal(answer.subCode, 'isv.invalid-signature');
});

test('a page by GET and a form by POST lead to the payer, and the kit accepts what is told of it', async () => {
  const product = { productCode: 'FAST_INSTANT_TRADE_PAY' };
  const link = sdk.pageExecute('alipay.trade.page.pay', 'GET', { notify_url, bizContent: content('KIT2', product) });
  const byLink = await page(await fetch(link));
  const html = sdk.pageExecute('alipay.trade.page.pay', 'POST', { notify_url, bizContent: content('KIT3', product) });
  const [form] = forms(html, sdk.config.gateway);
  const byForm = await page(await fetch(form.action, { method: 'POST', body: new URLSearchParams(form.fields) }));

  for (const [number, shown] of [['KIT2', byLink], ['KIT3', byForm]]) {
    assert.match(shown.html, /12\.34/);
    assert.ok((await pressPay(shown)).status < 400);
    const fields = await told(number, ({ trade_status }) => trade_status === 'TRADE_SUCCESS');
    assert.ok(sdk.checkNotifySignV2(fields), JSON.stringify(fields));
    assert.ok(!sdk.checkNotifySignV2({ ...fields, total_amount: '0.01' }));
    assert.ok(!sdk.checkNotifySignV2({ ...fields, sign: undefined }));
    assert.equal(fields.total_amount, '12.34');
    const found = await sdk.exec('alipay.trade.query', { bizContent: { outTradeNo: number } }, validated);
    assert.equal(found.tradeStatus, 'TRADE_SUCCESS');
    assert.equal(found.tradeNo, fields.trade_no);
  }
});

test('checkNotifySign, which decodes once more, accepts a notification without percent signs', async () => {
  const fields = notifications.find(({ out_trade_no }) => out_trade_no === 'KIT2');
  assert.ok(sdk.checkNotifySign(fields));
  assert.ok(!sdk.checkNotifySign({ ...fields, trade_status: 'TRADE_CLOSED' }));
});

test('refunds add up, and the kit accepts their replies and notifications', async () => {
  const refund = (outRequestNo, refundAmount) => sdk.exec(
    'alipay.trade.refund', { bizContent: { outTradeNo: 'KIT2', outRequestNo, refundAmount } }, validated,
  );
  const one = await refund('R1', '2.00');
  assert.equal(one.code, '10000', JSON.stringify(one));
  assert.deepEqual([one.fundChange, one.refundFee], ['Y', '2.00']);
  const again = await refund('R1', '2.00');
  assert.deepEqual([again.fundChange, again.refundFee], ['N', '2.00']);
  const two = await refund('R2', '1.34');
  assert.deepEqual([two.fundChange, two.refundFee], ['Y', '3.34']);
  const found = await sdk.exec(
    'alipay.trade.fastpay.refund.query', { bizContent: { outTradeNo: 'KIT2', outRequestNo: 'R2' } }, validated,
  );
  assert.deepEqual([found.refundStatus, found.refundAmount], ['REFUND_SUCCESS', '1.34']);
  const fields = await told('KIT2', ({ refund_fee }) => refund_fee === '3.34');
  assert.ok(sdk.checkNotifySignV2(fields));
});

test('the string for an app is understood', async () => {
  const text = sdk.sdkExecute('alipay.trade.app.pay', { notify_url, bizContent: content('KIT4', { productCode: 'QUICK_MSECURITY_PAY' }) });
  const response = await fetch(new URL('app/pay', sdk.config.gateway), { method: 'POST', body: text });
  const answer = await response.text();
  assert.equal(response.status, 200, answer);
  const { result } = JSON.parse(answer);
  sdk.checkResponseSign(result, 'alipay_trade_app_pay_response', JSON.parse(result).sign, '');
});

test('the link of a bill is told and leads to a zip', async () => {
  const day = new Date(Date.now() + 8 * 3_600_000).toISOString().slice(0, 10);
  const found = await sdk.exec(
    'alipay.data.dataservice.bill.downloadurl.query', { bizContent: { billType: 'trade', billDate: day } }, validated,
  );
  assert.equal(found.code, '10000', JSON.stringify(found));
  const response = await fetch(found.billDownloadUrl);
  const bytes = Buffer.from(await response.arrayBuffer());
  assert.equal(bytes.subarray(0, 2).toString(), 'PK');
});
