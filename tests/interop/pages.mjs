// As much of a browser as these tests need: the forms of a page.

function unescape(text) {
  const named = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };
  return text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (whole, hex, decimal, name) => {
    if (hex) return String.fromCodePoint(parseInt(hex, 16));
    if (decimal) return String.fromCodePoint(Number(decimal));
    return named[name] ?? whole;
  });
}

function attributes(tag) {
  const found = {};
  for (const [, name, double, single, bare] of tag.matchAll(/([\w-]+)(?:=(?:"([^"]*)"|'([^']*)'|([^\s>"']+)))?/g)) {
    found[name.toLowerCase()] = unescape(double ?? single ?? bare ?? '');
  }
  return found;
}

/** The forms of a page: action, fields and buttons (`{name, value, label}`). */
export function forms(html, base) {
  return [...html.matchAll(/<form\b([^>]*)>(.*?)<\/form>/gis)].map(([, head, inside]) => {
    const form = attributes(head);
    const inputs = [...inside.matchAll(/<input\b([^>]*)>/gis)].map(([, tag]) => attributes(tag));
    const buttons = [...inside.matchAll(/<button\b([^>]*)>(.*?)<\/button>/gis)]
      .map(([, tag, label]) => ({ ...attributes(tag), label: label.replace(/<[^>]*>/g, '').trim() }));
    const fields = inputs.filter(({ name, type }) => name && type !== 'submit').map(({ name, value }) => [name, value]);
    return { action: new URL(form.action ?? '', base).href, method: form.method ?? 'get', fields, buttons };
  });
}

/** Submits a form as a browser does, without following redirects. */
export function submit(form, button) {
  const fields = new URLSearchParams(form.fields);
  if (button?.name) fields.append(button.name, button.value ?? '');
  return fetch(form.action, { method: 'POST', body: fields, redirect: 'manual' });
}
