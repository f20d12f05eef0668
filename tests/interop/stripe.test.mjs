// Stripe's own library as witness: it verifies what the simulator signs, and what it signs the gateway accepts.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import Stripe from 'stripe';

import { startGateway, startSimulator, until } from './processes.mjs';
import { control, startPayment } from './stage.mjs';

const kit = new Stripe('sk_test_of_nobody');
let simulator;
let gateway;
let account;
let secret;

before(async () => {
  [simulator, gateway] = await Promise.all([startSimulator(), startGateway()]);
  const { account: body } = simulator.ready.providers.find(({ plugin }) => plugin === 'stripe');
  secret = body.secrets['webhook-secret'];
  account = await gateway.post('/v1/accounts', body);
  await control(simulator, 'stripe/special/endpoint', { url: account.notify_url });
  await control(simulator, 'stripe/settings', { notifications: 'lose' });
});

after(async () => {
  await gateway?.stop();
  await simulator?.stop();
});

async function paidUnheard() {
  const payment = await startPayment(gateway, account, 'checkout', 'desktop', 'USD');
  await control(simulator, `stripe/trades/${payment.reference}/pay`, {});
  return payment;
}

const draft = (payment) => control(simulator, 'stripe/notifications?dry_run=true', { reference: payment.reference, kind: 'truth' });

async function deliver(body, signature) {
  const response = await fetch(account.notify_url, {
    method: 'POST', headers: { 'content-type': 'application/json', 'stripe-signature': signature }, body,
  });
  return response.status;
}

test('the kit verifies the events of the simulator, and no other', async () => {
  const { message, headers } = await draft(await paidUnheard());
  const signature = Object.fromEntries(headers)['stripe-signature'];
  const event = kit.webhooks.constructEvent(message, signature, secret);
  assert.equal(event.type, 'checkout.session.completed');
  assert.throws(() => kit.webhooks.constructEvent(message.replace('1234', '1235'), signature, secret));
  assert.throws(() => kit.webhooks.constructEvent(message, signature, 'whsec_of_somebody_else'));
});

test('the gateway accepts what the kit signs, and nothing that it did not', async () => {
  const payment = await paidUnheard();
  const { message } = await draft(payment);
  const sign = (given, key = secret, timestamp = Math.floor(Date.now() / 1000)) => (
    kit.webhooks.generateTestHeaderString({ payload: given, secret: key, timestamp })
  );
  assert.equal(await deliver(message, sign(message, 'whsec_of_somebody_else')), 400);
  assert.equal(await deliver(message.replace('1234', '1235'), sign(message)), 400);
  const old = Math.floor(Date.now() / 1000) - 301;
  assert.equal(await deliver(message, sign(message, secret, old)), 400);
  const early = Math.floor(Date.now() / 1000) + 86_400;
  assert.equal(await deliver(message, sign(message, secret, early)), 400, 'which the kit itself would take');
  assert.equal(await deliver(message, sign(message)), 200);
  await until('paid', () => gateway.get(`/v1/payments/${payment.id}`), ({ state }) => state === 'succeeded');
});
