// What Stripe publishes of its API as judge of every request that our plugin sends: its OpenAPI file, and the types of its own
// library, which are those of the version that the plugin names.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { publish } from './openapi.mjs';
import { startGateway, startSimulator, until } from './processes.mjs';
import { control, startPayment, startRecorder } from './stage.mjs';
import { typed } from './stripe-types.mjs';

const DAY_MS = 86_400_000;
/** Parameters that are younger than the published file; the library's types have them. */
const YOUNGER = ['/adaptive_pricing is not described', 'query created is not described'];
/** Each operation of the plugin, and the type of the library that its parameters are of. */
const OPERATIONS = {
  'get /v1/balance_transactions': 'BalanceTransactionListParams',
  'get /v1/checkout/sessions': 'Checkout.SessionListParams',
  'get /v1/checkout/sessions/{session}': 'Checkout.SessionRetrieveParams',
  'get /v1/payment_intents': 'PaymentIntentListParams',
  'get /v1/payment_intents/{intent}': 'PaymentIntentRetrieveParams',
  'get /v1/refunds': 'RefundListParams',
  'get /v1/refunds/{refund}': 'RefundRetrieveParams',
  'post /v1/checkout/sessions': 'Checkout.SessionCreateParams',
  'post /v1/checkout/sessions/{session}/expire': 'Checkout.SessionExpireParams',
  'post /v1/payment_intents': 'PaymentIntentCreateParams',
  'post /v1/payment_intents/{intent}/cancel': 'PaymentIntentCancelParams',
  'post /v1/refunds': 'RefundCreateParams',
};

let judge;
let gateway;
let simulator;
let recorder;
let account;

const asked = () => [...new Set(recorder.seen.map(judge.name))].sort();
const lose = (on) => control(simulator, 'stripe/faults', { on, verb: 'lose_reply' });

before(async () => {
  judge = await publish('stripe-requests.json');
  [gateway, simulator] = await Promise.all([startGateway(), startSimulator()]);
  const { account: body } = simulator.ready.providers.find(({ plugin }) => plugin === 'stripe');
  recorder = await startRecorder(body.origins.api);
  account = await gateway.post('/v1/accounts', { ...body, origins: { ...body.origins, api: recorder.url } });
  // Who hears nothing has to ask.
  await control(simulator, 'stripe/settings', { notifications: 'lose' });
});

after(async () => {
  await gateway?.stop();
  await simulator?.stop();
  await recorder?.stop();
});

/** Each product is paid, given back, asked about and ended, and lost answers are looked for. */
async function live() {
  for (const [method, surface] of [['checkout', 'desktop'], ['intent', 'app']]) {
    const start = () => startPayment(gateway, account, method, surface, 'USD');
    const payment = await start();
    await control(simulator, `stripe/trades/${payment.reference}/pay`, {});
    assert.equal((await gateway.post(`/v1/payments/${payment.id}/sync`, {})).state, 'succeeded');
    await lose('refund');
    await gateway.post('/v1/refunds', { payment_id: payment.id, number: `lost-${method}`, amount: 100 });
    // One that is not done at once is asked about.
    await control(simulator, 'stripe/faults', { on: 'refund', verb: 'lie_status', value: 'pending' });
    await gateway.post('/v1/refunds', { payment_id: payment.id, number: `slow-${method}`, amount: 200 });
    await gateway.post(`/v1/orders/${(await start()).order_id}/close`, {});
    await lose('pay');
    const unheard = await start();
    await until('the lost one found', () => gateway.get(`/v1/payments/${unheard.id}`), ({ action }) => action.kind !== 'none');
  }
  const day = new Date(Date.now() - DAY_MS).toISOString().slice(0, 10);
  await gateway.post('/v1/bills', { account_id: account.id, period: day });
  await until('refunds asked about', asked, (names) => names.length === Object.keys(OPERATIONS).length);
}

test('every request fits the published file', async () => {
  await live();
  assert.deepEqual(recorder.seen.filter((call) => !judge.knows(call)), []);
  assert.deepEqual(asked(), Object.keys(OPERATIONS).sort());
  for (const call of recorder.seen) {
    const wrong = judge.request(call).filter((text) => !YOUNGER.includes(text));
    assert.deepEqual(wrong, [], `${judge.name(call)} ${call.url} ${call.content}`);
    assert.equal(call.headers['stripe-version'], '2026-10-28.endive');
    const key = call.headers['idempotency-key'];
    assert.equal(key?.length > 0 && key.length <= 255, call.method === 'post', 'a key goes with each change, and no other');
  }
});

test("every request has a type of the library's", () => {
  const all = recorder.seen.map((call) => ({ type: OPERATIONS[judge.name(call)], call }));
  assert.deepEqual(typed(all).flat(), []);
});

test('the judges refuse what is wrong', () => {
  const session = recorder.seen.find((call) => judge.name(call) === 'post /v1/checkout/sessions');
  const bent = (change) => {
    const fields = new URLSearchParams(session.content);
    change(fields);
    return { ...session, content: fields.toString() };
  };
  const all = [
    ['an unknown name', (fields) => fields.set('modus', 'payment')],
    ['an unknown name deep within', (fields) => fields.set('line_items[0][price_data][cur]', 'usd')],
    ['a text for a number', (fields) => fields.set('line_items[0][price_data][unit_amount]', 'much')],
    ['a name that must be there', (fields) => fields.delete('line_items[0][price_data][currency]')],
  ].map(([what, change]) => ({ what, call: bent(change), type: OPERATIONS['post /v1/checkout/sessions'] }));
  const compiled = typed(all);
  all.forEach(({ what, call }, index) => {
    assert.notDeepEqual(judge.request(call).filter((text) => !YOUNGER.includes(text)), [], what);
    assert.notDeepEqual(compiled[index], [], what);
  });
  const mode = bent((fields) => fields.set('mode', 'pay'));
  assert.match(judge.request(mode).join(), /\/mode must be equal to one of/, 'the types leave enums open');
  const twice = { ...session, content: `${session.content}&mode=payment` };
  assert.throws(() => judge.request(twice), /twice/);
});
