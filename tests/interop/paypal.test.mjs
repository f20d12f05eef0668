// PayPal's published OpenAPI files as judges of what our plugin sends and our simulator answers.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';

import Ajv from 'ajv';

import { startGateway, startSimulator, until } from './processes.mjs';
import { control, startPayment, startProvider } from './stage.mjs';

let judge;
let gateway;
let simulator;
let between;
let account;
const seen = [];

/** A judge of one published file: finds a request's operation and its schemas. */
async function publish(file) {
  const api = JSON.parse(await readFile(new URL(`schemas/${file}`, import.meta.url), 'utf8'));
  const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false, unicodeRegExp: false });
  ajv.addSchema(api, file);
  const pointer = (...parts) => `${file}#/${parts.map((part) => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))).join('/')}`;
  const paths = Object.keys(api.paths).map((path) => ({ path, shape: new RegExp(`^${path.replace(/\{[^}]+\}/g, '[^/]+')}$`) }));
  const find = (method, url) => {
    const found = paths.find(({ path, shape }) => shape.test(url) && api.paths[path][method]);
    return found && { path: found.path, operation: api.paths[found.path][method] };
  };
  const check = (schema, value) => {
    const validate = ajv.getSchema(schema) ?? ajv.compile({ $ref: schema });
    return validate(value) ? [] : validate.errors.map(({ instancePath, message }) => `${instancePath} ${message}`);
  };
  return {
    knows: (method, url) => Boolean(find(method, url)),
    request: (method, url, body) => {
      const { path, operation } = find(method, url);
      if (!operation.requestBody?.content) return [];
      return check(pointer('paths', path, method, 'requestBody', 'content', 'application/json', 'schema'), body);
    },
    reply: (method, url, status, body) => {
      const { path, operation } = find(method, url);
      if (!operation.responses[status]?.content) return operation.responses[status] ? [] : [`no status ${status}`];
      return check(pointer('paths', path, method, 'responses', String(status), 'content', 'application/json', 'schema'), body);
    },
  };
}

before(async () => {
  judge = await publish('paypal-checkout_orders_v2.json');
  [gateway, simulator] = await Promise.all([startGateway(), startSimulator()]);
  const { account: body } = simulator.ready.providers.find(({ plugin }) => plugin === 'paypal');
  const there = body.origins.api;
  between = await startProvider(async ({ method, url, headers, body: content }) => {
    const { host, connection, 'content-length': length, ...others } = headers;
    const response = await fetch(`${there}${url}`, { method, headers: others, body: content || undefined });
    const reply = await response.text();
    seen.push({ method: method.toLowerCase(), url: url.split('?')[0], content, status: response.status, reply });
    return { status: response.status, headers: { 'content-type': response.headers.get('content-type') ?? '' }, body: reply };
  });
  account = await gateway.post('/v1/accounts', { ...body, origins: { api: between.url, page: body.origins.page } });
  await control(simulator, 'paypal/special/endpoint', { url: account.notify_url });
});

after(async () => {
  await gateway?.stop();
  await simulator?.stop();
  await between?.stop();
});

test('every call about an order fits the published file, and so does every reply', async () => {
  const payment = await startPayment(gateway, account, 'wallet', 'desktop', 'USD');
  await control(simulator, `paypal/trades/${payment.reference}/pay`, {});
  await until('paid', () => gateway.get(`/v1/payments/${payment.id}`), ({ state }) => state === 'succeeded');
  await gateway.post(`/v1/payments/${payment.id}/sync`, {});

  const judged = seen.filter(({ method, url }) => judge.knows(method, url));
  const kinds = judged.map(({ method, url }) => `${method} ${url.replace(/[A-Z0-9]{17}/, 'ID')}`);
  for (const kind of ['post /v2/checkout/orders', 'get /v2/checkout/orders/ID', 'post /v2/checkout/orders/ID/capture']) {
    assert.ok(kinds.includes(kind), `${kind} is not among ${kinds}`);
  }
  for (const { method, url, content, status, reply } of judged) {
    if (content) assert.deepEqual(judge.request(method, url, JSON.parse(content)), [], `${method} ${url} ${content}`);
    assert.deepEqual(judge.reply(method, url, status, JSON.parse(reply)), [], `${method} ${url} ${reply}`);
  }
  const [{ content }] = judged;
  const wrong = { ...JSON.parse(content), intent: 'TAKE' };
  assert.notDeepEqual(judge.request('post', '/v2/checkout/orders', wrong), [], 'the judge refuses what is wrong');
});
