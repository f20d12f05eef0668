"""A witness for UnionPay that shares nothing with ours: digests by hashlib, signatures and chains by the program openssl.

    unionpay.py verify CERTIFICATE.pem < FORM     checks a form: prints ok, or why not, and fails
    unionpay.py sign KEY.pem < FORM               prints the form with its signature
    unionpay.py open KEY.pem < FORM               prints, as a form, the card that was sealed to that key

A form is `name=value&...`, url-encoded, on standard input.
"""

import base64
import hashlib
import subprocess
import sys
import tempfile
import urllib.parse


def digest(fields):
    """The text that is signed: SHA-256 of the sorted fields but the signature, in lower-case hexadecimal."""
    pairs = sorted((name, value) for name, value in fields if name != "signature" and value != "")
    text = "&".join(f"{name}={value}" for name, value in pairs)
    return hashlib.sha256(text.encode()).hexdigest().encode()


def openssl(arguments, given):
    return subprocess.run(["openssl", *arguments], input=given, capture_output=True, check=False)


def verify(fields, certificate):
    signature = base64.b64decode(dict(fields)["signature"])
    key = openssl(["x509", "-in", certificate, "-pubkey", "-noout"], b"").stdout
    with tempfile.NamedTemporaryFile() as key_file, tempfile.NamedTemporaryFile() as signature_file:
        key_file.write(key)
        key_file.flush()
        signature_file.write(signature)
        signature_file.flush()
        done = openssl(["dgst", "-sha256", "-verify", key_file.name, "-signature", signature_file.name], digest(fields))
    return done.returncode == 0


def sign(fields, key):
    done = openssl(["dgst", "-sha256", "-sign", key], digest(fields))
    if done.returncode != 0:
        sys.exit(done.stderr.decode())
    signed = [pair for pair in fields if pair[0] != "signature"]
    return [*signed, ("signature", base64.b64encode(done.stdout).decode())]


def opened(sealed, key):
    done = openssl(["pkeyutl", "-decrypt", "-inkey", key, "-pkeyopt", "rsa_padding_mode:pkcs1"], base64.b64decode(sealed))
    if done.returncode != 0:
        sys.exit(done.stderr.decode())
    return done.stdout.decode()


def card(fields, key):
    """The number by itself, and what stands in `encryptedInfo` within `customerInfo`."""
    given = dict(fields)
    info = base64.b64decode(given["customerInfo"]).decode()
    inner = info.removeprefix("{encryptedInfo=").removesuffix("}")
    return [("accNo", opened(given["accNo"], key)), *urllib.parse.parse_qsl(opened(inner, key))]


def main():
    verb, path = sys.argv[1:]
    fields = urllib.parse.parse_qsl(sys.stdin.read(), keep_blank_values=True)
    if verb == "verify":
        if not verify(fields, path):
            sys.exit("the signature does not hold")
        print("ok")
    elif verb == "sign":
        print(urllib.parse.urlencode(sign(fields, path)))
    elif verb == "open":
        print(urllib.parse.urlencode(card(fields, path)))
    else:
        sys.exit("verify, sign or open")


main()
