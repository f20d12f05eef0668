//! The arguments of one call for a component and for the same code run natively: an account as a context, a payment of two
//! items, a message.

/// The time of every call, Unix milliseconds.
const NOW_MS: i64 = 1_703_112_877_000;
/// Its chance.
const NONCE: &str = "0123456789abcdefghijklmnopqrstuv";

/// What differs between accounts.
pub struct Given {
    /// Public settings by name.
    pub settings: Vec<(String, String)>,
    /// The provider's addresses by name.
    pub origins: Vec<(String, String)>,
    /// How is paid.
    pub method: String,
    /// In which currency, ISO 4217; one of two decimals.
    pub currency: String,
}

/// The contract's types are made twice, by the host's bindings and by the plugin's: the same words make a value of each.
macro_rules! arguments {
    () => {
        /// What a call is told of the account and the moment.
        pub fn context(given: &Given) -> Context {
            Context {
                now_ms: super::NOW_MS,
                nonce: super::NONCE.to_owned(),
                idempotency_key: "P00000000000000000000001".to_owned(),
                trace_id: "0123456789abcdef".to_owned(),
                live: false,
                settings: given.settings.clone(),
                origins: given.origins.clone(),
                extra: Vec::new(),
            }
        }

        fn money(given: &Given, minor: i64) -> Money {
            Money { minor, currency: given.currency.clone(), exponent: 2 }
        }

        fn item(name: &str, unit: Money) -> Item {
            Item { name: name.to_owned(), quantity: 2, unit, extra: Vec::new() }
        }

        fn payment(given: &Given) -> Payment {
            Payment {
                payment_ref: "P00000000000000000000001".to_owned(),
                provider_ref: None,
                method: given.method.clone(),
                amount: money(given, 12_500),
                created_ms: super::NOW_MS,
                kept: Vec::new(),
            }
        }

        /// A payment of two items.
        pub fn pay(given: &Given) -> Operation {
            Operation::Pay(PayRequest {
                payment: payment(given),
                order_ref: "2023-1221-0001".to_owned(),
                subject: "Green tea & two cups".to_owned(),
                description: Some("First harvest, 250 g".to_owned()),
                items: vec![
                    item("绿茶 250 g", money(given, 4_250)),
                    item("Cup", money(given, 2_000)),
                ],
                deliver_to: None,
                notify_url: "https://pay.test/notify/acc_018c8b2f6d3a7c1e9f4b5a6d7e8f9a0b"
                    .to_owned(),
                return_url: "https://pay.test/return/pay_018c8b2f6d3a7c1e9f4b5a6d7e8f9a0c"
                    .to_owned(),
                cancel_url: Some("https://pay.test/pay/TOKENTOKENTOKENTOKENTOKEN".to_owned()),
                payer_ip: Some("192.0.2.7".to_owned()),
                payer_id: None,
                locale: Some("zh-CN".to_owned()),
                expires_ms: super::NOW_MS + 7_200_000,
                manual_capture: false,
                private_fields: Vec::new(),
                extra: Vec::new(),
            })
        }

        /// A form as it comes to us.
        pub fn message(body: &str) -> Inbound {
            let kind = "application/x-www-form-urlencoded; charset=utf-8";
            Inbound {
                channel: Channel::Notification,
                method: "POST".to_owned(),
                url: "https://pay.test/notify/acc_018c8b2f6d3a7c1e9f4b5a6d7e8f9a0b".to_owned(),
                query: String::new(),
                headers: vec![("content-type".to_owned(), kind.to_owned())],
                body: body.as_bytes().to_vec(),
                received_ms: super::NOW_MS,
            }
        }
    };
}

/// Values of the host's types.
pub mod host {
    use tollgate_plugin::contract::{
        Channel, Context, Inbound, Item, Money, Operation, PayRequest, Payment,
    };

    use super::Given;

    arguments!();

    /// The same payment with a wish that the plugin refuses at once: what is left of a call is the call itself.
    pub fn refused(given: &Given) -> Operation {
        let Operation::Pay(request) = pay(given) else {
            unreachable!("a payment is what was made")
        };
        Operation::Pay(PayRequest { manual_capture: true, ..request })
    }
}

/// Values of the plugin's types.
pub mod native {
    use tollgate_sdk::contract::requests::{Item, Operation, PayRequest};
    use tollgate_sdk::contract::types::{Channel, Context, Inbound, Money, Payment};

    use super::Given;

    arguments!();
}
