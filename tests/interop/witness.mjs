// The provider's kit, and the inner functions of it that the tests call. Its package exports only its front door.

import { generateKeyPairSync } from 'node:crypto';

import { AlipaySdk } from 'alipay-sdk';

const util = await import(new URL('./node_modules/alipay-sdk/dist/esm/util.js', import.meta.url).href);

/** A key pair in the form that merchants and providers exchange: base64 of DER. */
export function keyPair() {
  const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return {
    private: pair.privateKey.export({ type: 'pkcs8', format: 'der' }).toString('base64'),
    privatePem: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    public: pair.publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
  };
}

/** The kit of somebody who signs with one key and believes another. Keys are base64 of PKCS#8 and SPKI. */
export function kit({ appId, gateway, signsWith, believes }) {
  return new AlipaySdk({ appId, gateway, privateKey: signsWith, alipayPublicKey: believes, keyType: 'PKCS8' });
}

/** Signs a text as the kit does (RSA2), with a key in PEM. */
export function signText(text, privatePem) {
  return util.signatureV3(text, privatePem);
}

/** Signs a call with the kit, with parameters in place of its own clock. They include `timestamp`. */
export function signCall(params, sdk) {
  const { method, sign: _, biz_content: content, ...others } = params;
  return util.sign(method, { ...others, bizContent: JSON.parse(content) }, sdk.config).sign;
}

/** The text that a notification's signature covers: neither `sign` nor `sign_type`. */
export function notificationText(fields) {
  const names = Object.keys(fields).filter((name) => name !== 'sign' && name !== 'sign_type').sort();
  return names.filter((name) => fields[name] !== '').map((name) => `${name}=${fields[name]}`).join('&');
}
