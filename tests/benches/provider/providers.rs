//! The providers: how their payers pay here, their plugins' native code, and what RSA there is in a payment.

use tollgate_tests::call_times::BuildsHere;

/// A provider.
#[derive(Clone, Copy)]
pub struct Provider {
    /// Its plugin.
    pub id: &'static str,
    /// How payers pay.
    pub method: &'static str,
    /// The plugin's native code.
    pub build: BuildsHere,
    /// The RSA operations of a payment, order to paid; none where nothing is signed so.
    pub rsa: Option<Operations>,
}

/// RSA operations.
#[derive(Clone, Copy)]
pub struct Operations {
    /// With our private key.
    pub signatures: u32,
    /// With the provider's public key.
    pub verifications: u32,
}

/// All of them.
pub const PROVIDERS: [Provider; 5] = [
    Provider {
        id: "alipay",
        method: "page",
        build: |context, keys, operation| tollgate_alipay::build(context, keys, operation),
        // The form; the notification; the confirming query and its answer.
        rsa: Some(Operations { signatures: 2, verifications: 2 }),
    },
    Provider {
        id: "wechatpay",
        method: "native",
        build: |context, keys, operation| tollgate_wechatpay::build(context, keys, operation),
        // The order and its answer; the notification; the confirming query and its answer.
        rsa: Some(Operations { signatures: 2, verifications: 3 }),
    },
    Provider {
        id: "unionpay",
        method: "page",
        build: |context, keys, operation| tollgate_unionpay::build(context, keys, operation),
        // The form; the notification; the confirming query and its answer. That each message brings a certificate, whose
        // chain is checked, is part of what is measured.
        rsa: Some(Operations { signatures: 2, verifications: 2 }),
    },
    Provider {
        id: "stripe",
        method: "checkout",
        build: |context, keys, operation| tollgate_stripe::build(context, keys, operation, &[]),
        rsa: None,
    },
    Provider {
        id: "paypal",
        method: "wallet",
        build: |context, keys, operation| tollgate_paypal::build(context, keys, operation, &[]),
        rsa: None,
    },
];
