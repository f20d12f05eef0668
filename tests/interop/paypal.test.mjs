// PayPal's published OpenAPI files as judges of what our plugin sends and our simulator answers.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { publish } from './openapi.mjs';
import { startGateway, startSimulator, until } from './processes.mjs';
import { control, startPayment, startRecorder } from './stage.mjs';

const DAY_MS = 86_400_000;
/** The one call that no published file describes: RFC 6749 does. */
const TOKEN = '/v1/oauth2/token';

let judge;
let gateway;
let simulator;
let recorder;
let account;

before(async () => {
  judge = await publish(
    'paypal-checkout_orders_v2.json', 'paypal-payments_payment_v2.json',
    'paypal-notifications_webhooks_v1.json', 'paypal-reporting_transactions_v1.json',
    'paypal-customer_disputes_v1.json',
  );
  [gateway, simulator] = await Promise.all([startGateway(), startSimulator()]);
  const { account: body } = simulator.ready.providers.find(({ plugin }) => plugin === 'paypal');
  recorder = await startRecorder(body.origins.api);
  account = await gateway.post('/v1/accounts', { ...body, origins: { api: recorder.url, page: body.origins.page } });
  await control(simulator, 'paypal/special/endpoint', { url: account.notify_url });
});

after(async () => {
  await gateway?.stop();
  await simulator?.stop();
  await recorder?.stop();
});

/** Everything that the plugin can have sent: a payment, its webhooks, a dispute, a refund and a day's report. */
async function live() {
  const payment = await startPayment(gateway, account, 'wallet', 'desktop', 'USD');
  await control(simulator, `paypal/trades/${payment.reference}/pay`, {});
  await until('paid', () => gateway.get(`/v1/payments/${payment.id}`), ({ state }) => state === 'succeeded');
  await gateway.post(`/v1/payments/${payment.id}/sync`, {});
  // One that is not done at once is asked about.
  await control(simulator, 'paypal/faults', { on: 'refund', verb: 'lie_status', value: 'PENDING' });
  const refund = await gateway.post('/v1/refunds', { payment_id: payment.id, number: 'R-1', amount: 400 });
  await until('given back', () => gateway.get(`/v1/refunds/${refund.id}`), ({ state }) => state === 'succeeded');
  await control(simulator, `paypal/trades/${payment.reference}/dispute`, {});
  const listed = () => gateway.get(`/v1/disputes?payment_id=${payment.id}`);
  await until('contested', listed, ({ data }) => data.length === 1);
  await control(simulator, `paypal/trades/${payment.reference}/lose_dispute`, {});
  await until('lost', listed, ({ data }) => data[0].state === 'lost');
  const day = new Date(Date.now() - DAY_MS).toISOString().slice(0, 10);
  await control(simulator, 'paypal/bill-edits', { op: 'add_row', reference: 'NOBODYS', value: '1.00', day });
  await gateway.post('/v1/bills', { account_id: account.id, period: day });
}

/** Reports write times as PayPal's example of one does (its vectors), by an offset that the file's pattern does not allow. */
function asDescribed(call) {
  const isReport = call.url.startsWith('/v1/reporting/');
  return isReport ? { ...call, reply: call.reply.replaceAll('+0000"', 'Z"') } : call;
}

test('every call fits the published files, and so does every reply', async () => {
  await live();
  const [tokens, judged] = [false, true].map((known) => recorder.seen.filter((call) => judge.knows(call) === known));
  assert.deepEqual([...new Set(tokens.map(({ url }) => url))], [TOKEN], 'no call is unknown to the files but the token');
  assert.equal(tokens[0].content, 'grant_type=client_credentials');
  assert.match(tokens[0].headers.authorization, /^Basic /);

  assert.deepEqual([...new Set(judged.map(judge.name))].sort(), [
    'get /v1/customer/disputes/{id}',
    'get /v1/reporting/transactions',
    'get /v2/checkout/orders/{id}',
    'get /v2/payments/refunds/{refund_id}',
    'post /v1/notifications/verify-webhook-signature',
    'post /v2/checkout/orders',
    'post /v2/checkout/orders/{id}/capture',
    'post /v2/payments/captures/{capture_id}/refund',
  ]);
  for (const call of judged) {
    assert.deepEqual(judge.request(call), [], `${judge.name(call)} ${call.url} ${call.content}`);
    assert.deepEqual(judge.reply(asDescribed(call)), [], `${judge.name(call)} ${call.reply}`);
  }
});

test('the judge refuses what is wrong', async () => {
  const seen = (method, path) => recorder.seen.find((call) => call.method === method && call.url.startsWith(path));
  const bent = (call, more) => judge.request({ ...call, content: JSON.stringify({ ...JSON.parse(call.content), ...more }) });
  const order = seen('post', '/v2/checkout/orders');
  assert.notDeepEqual(bent(order, { intent: 'TAKE' }), [], 'an enum');
  assert.notDeepEqual(bent(order, { purchase_units: undefined }), [], 'a member that must be there');
  assert.deepEqual(bent(order, { intend: 'CAPTURE' }), ['/intend is not described']);
  const refund = seen('post', '/v2/payments/captures/');
  assert.notDeepEqual(bent(refund, { amount: { currency_code: 'USD', value: 4 } }), [], 'a number for a text');
  const verify = seen('post', '/v1/notifications/');
  assert.notDeepEqual(bent(verify, { auth_algo: undefined }), [], 'a member that must be there');
  const report = seen('get', '/v1/reporting/');
  const asking = (change) => judge.request({ ...report, url: change(report.url) });
  assert.deepEqual(asking((url) => `${url}&sort=up`), ['query sort is not described']);
  assert.notDeepEqual(asking((url) => url.replace('page_size=500', 'page_size=501')), [], 'more than a page holds');
  assert.notDeepEqual(asking((url) => url.replace(/start_date=[^&]+&/, '')), [], 'a parameter that must be there');
});
