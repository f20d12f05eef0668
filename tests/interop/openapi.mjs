// Judges made of published OpenAPI files: whether a request is one that the provider describes, and a reply too.

import { readFile } from 'node:fs/promises';

import Ajv from 'ajv';

const FORM = 'application/x-www-form-urlencoded';

/** Escapes the names of a path within a document, and joins them. */
const pointer = (file, parts) => (
  `${file}#/${parts.map((part) => encodeURIComponent(String(part).replaceAll('~', '~0').replaceAll('/', '~1'))).join('/')}`
);

/** Names in brackets as objects and lists: `a[b]=1`, `a[0][b]=1`, `a[]=1`. */
export function unbracket(pairs) {
  const root = {};
  for (const [name, value] of pairs) {
    const keys = [name.replace(/\[.*$/s, ''), ...[...name.matchAll(/\[([^\]]*)\]/g)].map(([, key]) => key)];
    let place = root;
    keys.forEach((key, at) => {
      const own = Array.isArray(place) && key === '' ? place.length : key;
      if (at === keys.length - 1) {
        if (Object.hasOwn(place, own)) throw new Error(`${name} stands there twice`);
        place[own] = value;
      } else {
        place[own] ??= /^\d*$/.test(keys[at + 1]) ? [] : {};
        place = place[own];
      }
    });
  }
  return root;
}

/** Whether a thing has members of its own to look at. */
const isObject = (value) => typeof value === 'object' && value !== null;

class Judge {
  constructor(file, api) {
    this.file = file;
    this.api = api;
    const options = { strict: false, allErrors: true, validateFormats: false, unicodeRegExp: false };
    this.exact = new Ajv(options).addSchema(api, file);
    // Forms and queries are text: a number is what reads as one.
    this.textual = new Ajv({ ...options, coerceTypes: true }).addSchema(api, file);
    this.paths = Object.keys(api.paths).map((path) => ({ path, shape: new RegExp(`^${path.replace(/\{[^}]+\}/g, '([^/]+)')}$`) }));
  }

  find(method, url) {
    return this.paths.find(({ path, shape }) => shape.test(url) && this.api.paths[path][method]);
  }

  at(parts) {
    return parts.reduce((place, part) => place[part], this.api);
  }

  /** Where a reference leads to, or the place itself. */
  resolved(parts) {
    const { $ref: reference } = this.at(parts);
    if (!reference) return parts;
    return this.resolved(reference.slice(2).split('/').map((part) => decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~')));
  }

  fits(ajv, parts, value) {
    const at = pointer(this.file, parts);
    const validate = ajv.getSchema(at) ?? ajv.compile({ $ref: at });
    if (validate(value)) return [];
    // Members that are not described are told of by name: see `strangers`.
    const others = validate.errors.filter(({ keyword }) => keyword !== 'additionalProperties');
    return others.map(({ instancePath, message }) => `${instancePath} ${message}`);
  }

  /** The places of all schemas that one is made of. */
  partsOf(place) {
    const own = this.resolved(place);
    const schema = this.at(own);
    const further = ['allOf', 'anyOf', 'oneOf'].flatMap((word) => (
      (schema[word] ?? []).flatMap((_, index) => this.partsOf([...own, word, index]))
    ));
    return [own, ...further];
  }

  /** Members that no part of the schema names. Providers refuse such, or drop them, which is worse. */
  strangers(places, value, at = '') {
    const all = places.flatMap((place) => this.partsOf(place));
    if (Array.isArray(value)) {
      const items = all.filter((place) => this.at(place).items).map((place) => [...place, 'items']);
      return value.flatMap((item, index) => this.strangers(items, item, `${at}/${index}`));
    }
    if (!isObject(value)) return [];
    return Object.entries(value).flatMap(([name, member]) => {
      const named = all.filter((place) => Object.hasOwn(this.at(place).properties ?? {}, name));
      if (named.length > 0) return this.strangers(named.map((place) => [...place, 'properties', name]), member, `${at}/${name}`);
      return all.some((place) => this.at(place).additionalProperties) ? [] : [`${at}/${name} is not described`];
    });
  }

  parameters(path, method) {
    const own = ['paths', path, method, 'parameters'];
    const shared = ['paths', path, 'parameters'];
    return [own, shared].filter((parts) => this.at(parts)).flatMap((parts) => (
      this.at(parts).map((_, index) => this.resolved([...parts, index])).map((place) => ({ place, ...this.at(place) }))
    ));
  }

  /** What is wrong with a part of a request: its path, query or headers. */
  given(parameters, kind, values) {
    return parameters.filter((parameter) => parameter.in === kind && parameter.name !== 'Authorization').flatMap((parameter) => {
      const name = kind === 'header' ? parameter.name.toLowerCase() : parameter.name;
      if (!Object.hasOwn(values, name)) return parameter.required ? [`${kind} ${name} is missing`] : [];
      const place = [...parameter.place, 'schema'];
      const boxed = { value: structuredClone(values[name]) };
      // What is coerced has to be a member of something.
      const schema = { type: 'object', properties: { value: { $ref: pointer(this.file, place) } } };
      const validate = this.textual.compile(schema);
      const wrong = validate(boxed) ? [] : validate.errors.map(({ instancePath, message }) => `${kind} ${name}${instancePath} ${message}`);
      return [...wrong, ...this.strangers([place], values[name], `${kind} ${name}`)];
    });
  }

  body(path, method, headers, content) {
    const parts = ['paths', path, method, 'requestBody'];
    if (!content) return this.at(parts.slice(0, -1)).requestBody?.required ? ['no body'] : [];
    const [type] = (headers['content-type'] ?? '').split(';');
    if (!this.at(parts)?.content?.[type]) return [`no body of type ${type}`];
    const place = [...parts, 'content', type, 'schema'];
    const isForm = type === FORM;
    const value = isForm ? unbracket(new URLSearchParams(content)) : JSON.parse(content);
    // First the names: reading a form turns texts into numbers.
    return [...this.strangers([place], value), ...this.fits(isForm ? this.textual : this.exact, place, value)];
  }

  request({ method, url, headers, content }) {
    const [bare, query] = url.split('?');
    const { path, shape } = this.find(method, bare);
    const parameters = this.parameters(path, method);
    const names = [...path.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name);
    const inPath = Object.fromEntries(shape.exec(bare).slice(1).map((value, index) => [names[index], decodeURIComponent(value)]));
    const asked = unbracket(new URLSearchParams(query));
    const known = new Set(parameters.filter((parameter) => parameter.in === 'query').map(({ name }) => name));
    return [
      ...this.given(parameters, 'path', inPath),
      ...Object.keys(asked).filter((name) => !known.has(name)).map((name) => `query ${name} is not described`),
      ...this.given(parameters, 'query', asked),
      ...this.given(parameters, 'header', headers),
      ...this.body(path, method, headers, content),
    ];
  }

  reply({ method, url, status, reply }) {
    const { path } = this.find(method, url.split('?')[0]);
    const { responses } = this.at(['paths', path, method]);
    if (!responses[status]) return [`no status ${status}`];
    const place = ['paths', path, method, 'responses', status, 'content', 'application/json', 'schema'];
    return responses[status].content ? this.fits(this.exact, place, JSON.parse(reply)) : [];
  }
}

/**
 * The judges of some published files, as one: `request` and `reply` list what is wrong with a call that was seen. A call has
 * `method` in lower case, `url` with its query, `headers`, `content`, and `status` and `reply` of the answer.
 */
export async function publish(...files) {
  const judges = await Promise.all(files.map(async (file) => (
    new Judge(file, JSON.parse(await readFile(new URL(`schemas/${file}`, import.meta.url), 'utf8')))
  )));
  const of = ({ method, url }) => judges.find((judge) => judge.find(method, url.split('?')[0]));
  return {
    knows: (call) => Boolean(of(call)),
    request: (call) => of(call).request(call),
    reply: (call) => of(call).reply(call),
    /** The call's method and path with the names of what varies. */
    name: (call) => `${call.method} ${of(call).find(call.method, call.url.split('?')[0]).path}`,
  };
}
