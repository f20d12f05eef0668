//! Numbers in WeChat Pay's shape.
use jiff::Timestamp;

use crate::chance::Chance;
use crate::clock::in_china;

/// A transaction's number: 28 digits, the day in China inside.
pub fn transaction_id(chance: &Chance, now: Timestamp) -> String {
    format!("4200000{}{}", in_china(now).strftime("%Y%m%d"), chance.digits(13))
}

/// A refund's number: 29 digits, the day in China inside.
pub fn refund_id(payment: &str, index: usize) -> String {
    format!("5030{payment:0>22}{index:03}")
}

/// A notification's number: a UUID's shape.
pub fn notice_id(chance: &Chance) -> String {
    let hex = chance.hex(32);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_providers_shape() {
        let chance = Chance::new(7);
        let number = transaction_id(&chance, Timestamp::UNIX_EPOCH);
        assert!(number.starts_with("420000019700101") && number.len() == 28, "{number}");
        assert_eq!(notice_id(&chance).len(), 36);
        assert_ne!(refund_id(&number, 0), refund_id(&number, 1));
    }
}
