//! A manifest that passes, and one broken in each way that it can be.

use super::*;
use crate::contract::{Call, Currency, Egress, Token, Trust};

fn input(name: &str, kind: &str) -> Input {
    Input {
        name: name.into(),
        label: name.into(),
        kind: kind.into(),
        required: false,
        pattern: None,
        help: String::new(),
    }
}

/// A slot that leaves nowhere.
/// Trust in whatever that slot vouches for.
pub(crate) fn anyone_of(by: &str) -> Option<Trust> {
    let names = vec!["*".into()];
    Some(Trust { by: by.into(), names, sandbox_names: vec![], refresh_ms: None })
}

pub(crate) fn slot(name: &str, kind: &str, uses: &[&str]) -> Slot {
    Slot {
        input: input(name, kind),
        uses: uses.iter().map(|u| (*u).to_owned()).collect(),
        egress: Vec::new(),
        token: None,
        trust: None,
        extra: Vec::new(),
    }
}

/// A base address, live only.
pub(crate) fn origin(name: &str, purpose: &str, live: &str) -> Origin {
    Origin { name: name.into(), purpose: purpose.into(), live: Some(live.into()), sandbox: None }
}

/// An operation with nothing promised.
pub(crate) fn ability(operation: &str, calls: Vec<Call>) -> Ability {
    Ability {
        operation: operation.into(),
        calls,
        by_our_ref: true,
        repeat_ms: None,
        absent_after_ms: None,
        schedule_ms: Vec::new(),
        accepts: Vec::new(),
    }
}

/// A call without a pinned field.
pub(crate) fn call(origin: &str, method: &str, path: &str) -> Call {
    Call { origin: origin.into(), method: method.into(), path: path.into(), field: None }
}

/// The smallest manifest that passes.
pub(crate) fn manifest() -> Manifest {
    Manifest {
        id: "sample".into(),
        version: "1.0.0".into(),
        name: "Sample".into(),
        description: String::new(),
        settings: vec![input("shop", "text")],
        slots: Vec::new(),
        origins: vec![origin("api", "call", "https://{shop}.example.com")],
        methods: vec![Method {
            id: "page".into(),
            name: "Page".into(),
            surfaces: vec!["desktop".into()],
            currencies: vec![Currency {
                code: "EUR".into(),
                min_minor: Some(1),
                max_minor: None,
                step_minor: 1,
            }],
            inputs: Vec::new(),
            extra: Vec::new(),
        }],
        operations: vec![ability("pay", vec![call("api", "POST", "/pay")])],
        bills: Vec::new(),
        refund_window_days: None,
        extra: Vec::new(),
    }
}

fn token_slot() -> Slot {
    let mut slot = slot("session", "token", &[]);
    slot.token = Some(Token { value: "/access_token".into(), expires_in: "/expires_in".into() });
    slot
}

#[test]
fn a_whole_manifest_passes() {
    let mut whole = manifest();
    whole.slots.push(token_slot());
    let mut secret = slot("secret", "secret", &["sign md5 *&key={secret}"]);
    secret.egress.push(Egress {
        origin: "api".into(),
        place: "header authorization".into(),
        filling: Some("session".into()),
    });
    whole.slots.push(secret);
    whole.slots.push(slot("app", "private-key", &["sign rsa-pkcs1-sha256"]));
    whole.origins.push(origin("file", "call", "http://files.example.com"));
    whole.operations.push(ability("bill", vec![call("file", "GET", "*")]));
    whole.operations.push(ability("fetch-keys", vec![call("api", "POST", "/token")]));
    assert_eq!(check(&whole), Ok(()));
}

type Break = fn(&mut Manifest);

#[test]
fn a_token_needs_its_places_and_an_operation_that_fetches_it() {
    let told = |value: &str, fetches: bool| {
        let mut whole = manifest();
        let mut slot = token_slot();
        slot.token = Some(Token { value: value.into(), expires_in: "/expires_in".into() });
        whole.slots.push(slot);
        if fetches {
            whole.operations.push(ability("fetch-keys", Vec::new()));
        }
        check(&whole)
    };
    assert_eq!(told("/access_token", true), Ok(()));
    assert!(told("access_token", true).unwrap_err()[0].contains("no JSON pointers"));
    assert!(told("/access_token", false).unwrap_err()[0].contains("operation fetch-keys"));
}

#[test]
fn a_private_field_is_a_methods_and_has_a_key_to_be_sealed_to() {
    let told = |uses: &[&str]| {
        let mut whole = manifest();
        whole.methods[0].inputs.push(input("card", PRIVATE));
        whole.slots.push(slot("theirs", "certificates", uses));
        check(&whole)
    };
    assert_eq!(told(&["seal rsa-oaep-sha1"]), Ok(()));
    assert!(told(&["verify rsa-pkcs1-sha256"]).unwrap_err()[0].contains("no slot seals them"));
    let mut setting = manifest();
    setting.settings[0].kind = PRIVATE.into();
    assert!(check(&setting).unwrap_err()[0].contains("setting shop is private"));
}

#[test]
fn a_slot_has_few_and_short_uses() {
    let told = |uses: &[&str]| {
        let mut whole = manifest();
        whole.slots.push(slot("theirs", "certificates", uses));
        check(&whole)
    };
    let use_ = "verify rsa-pkcs1-sha256";
    assert_eq!(told(&[use_; 32]), Ok(()));
    assert!(told(&[use_; 33]).unwrap_err()[0].contains("slot theirs has more than 32 uses"));
    let long = format!("{use_} {}", "a".repeat(500));
    assert!(told(&[long.as_str()]).unwrap_err()[0].contains("longer than 500 bytes"));
}

#[test]
fn a_slot_is_required_for_the_sake_of_one_that_is_there() {
    let told = |rule: &str, other: &str| {
        let mut whole = manifest();
        let mut slot = slot("bare", "public-keys", &[]);
        slot.extra.push((rule.into(), other.into()));
        whole.slots = vec![slot, self::slot("signed", "certificates", &[])];
        check(&whole)
    };
    for rule in ["required-unless", "required-if"] {
        assert_eq!(told(rule, "signed"), Ok(()));
        assert!(told(rule, "bare").unwrap_err()[0].contains("required by"));
        assert!(told(rule, "nobody").unwrap_err()[0].contains("unknown slot"));
    }
}

#[test]
fn each_broken_part_is_named() {
    let rows: Vec<(&str, Break)> = vec![
        ("id ", |m| m.id = "Sample".into()),
        ("id ", |m| m.id = String::new()),
        ("version ", |m| m.version = "1.0".into()),
        ("version ", |m| m.version = "1.0.x".into()),
        ("name", |m| m.name = " ".into()),
        ("no operation pay", |m| m.operations.clear()),
        ("no payment method", |m| m.methods.clear()),
        ("setting shop is there twice", |m| {
            m.settings.push(input("shop", "text"));
        }),
        ("origin api is there twice", |m| {
            m.origins.push(origin("api", "call", "https://a.example.com"));
        }),
        ("operation pay is there twice", |m| {
            m.operations.push(ability("pay", vec![]));
        }),
        ("is no name", |m| m.methods[0].id = "a b".into()),
        ("unknown kind", |m| m.settings[0].kind = "secret".into()),
        ("unknown purpose", |m| m.origins[0].purpose = "any".into()),
        ("no plain name", |m| {
            m.origins[0].live = Some("https://{other}.example.com".into());
        }),
        ("gateway's own machine", |m| {
            m.origins[0].live = Some("http://127.0.0.1:80801".trim_end_matches('1').into());
        }),
        ("http, which only bills", |m| {
            m.origins[0].live = Some("http://api.example.com".into());
        }),
        ("unknown operation", |m| {
            m.operations.push(ability("transfer", vec![]));
        }),
        ("unknown origin", |m| {
            m.operations[0].calls.push(call("elsewhere", "GET", "/"));
        }),
        ("no method", |m| {
            m.operations[0].calls.push(call("api", "TRACE", "/"));
        }),
        ("no path", |m| {
            m.operations[0].calls.push(call("api", "GET", "pay"));
        }),
        ("accepts no", |m| m.operations[0].accepts.push("all".into())),
        ("unknown surface", |m| {
            m.methods[0].surfaces.push("watch".into());
        }),
        ("takes no currency", |m| {
            m.methods[0].currencies[0].code = "euro".into();
        }),
        ("impossible amounts", |m| {
            m.methods[0].currencies[0].step_minor = 0;
        }),
        ("impossible amounts", |m| {
            m.methods[0].currencies[0].max_minor = Some(0);
        }),
        ("unknown kind", |m| m.slots.push(slot("s", "password", &[]))),
        ("does not", |m| {
            m.slots.push(slot("s", "private-key", &["sign hmac-sha256"]));
        }),
        ("algorithm", |m| m.slots.push(slot("s", "secret", &["sign rot13"]))),
        ("where its token is", |m| m.slots.push(slot("s", "token", &[]))),
        ("trusts no one", |m| {
            let mut slot = slot("s", "certificates", &[]);
            slot.trust = anyone_of("nobody");
            m.slots.push(slot);
        }),
        ("may not seal", |m| {
            let mut late = slot("late", "certificates", &["verify rsa-pkcs1-sha256"]);
            late.trust = anyone_of("word");
            m.slots.push(late);
            m.slots.push(slot("word", "secret", &["open aes-256-gcm", "seal aes-256-gcm"]));
        }),
        ("its pattern is none", |m| m.settings[0].pattern = Some("(".into())),
        ("its pattern is none", |m| {
            let mut box_ = input("box", "text");
            box_.pattern = Some("a{1000000000}".into());
            m.methods[0].inputs.push(box_);
        }),
        ("its pattern is none", |m| {
            let mut slot = slot("word", "secret", &[]);
            slot.input.pattern = Some("[".into());
            m.slots.push(slot);
        }),
        ("for payers alone", |m| m.origins[0].purpose = "browser".into()),
        ("never leave", |m| {
            let mut slot = slot("s", "private-key", &[]);
            slot.egress.push(Egress { origin: "api".into(), place: "body".into(), filling: None });
            m.slots.push(slot);
        }),
    ];
    for (wanted, break_it) in rows {
        let mut broken = manifest();
        break_it(&mut broken);
        let problems = check(&broken).unwrap_err();
        assert!(problems.iter().any(|problem| problem.contains(wanted)), "{wanted}: {problems:?}");
    }
}
