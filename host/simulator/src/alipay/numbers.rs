//! Numbers in Alipay's shape.
use jiff::Timestamp;

use crate::chance::Chance;
use crate::clock::in_china;

/// A trade number: 28 digits that start with the day in China.
pub fn trade_no(chance: &Chance, now: Timestamp) -> String {
    let day = in_china(now).strftime("%Y%m%d").to_string();
    format!("{day}22001{}", chance.digits(15))
}

/// A notification's number: 34 digits, day and time inside.
pub fn notify_id(chance: &Chance, now: Timestamp) -> String {
    let wall = in_china(now);
    let (day, time) = (wall.strftime("%Y%m%d").to_string(), wall.strftime("%H%M%S").to_string());
    format!("{day}01222{time}{}", chance.digits(15))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_providers_shape() {
        let (at, chance) = (Timestamp::UNIX_EPOCH, Chance::new(7));
        let number = trade_no(&chance, at);
        assert!(number.starts_with("1970010122001") && number.len() == 28);
        assert_eq!(notify_id(&chance, at).len(), 34);
    }
}
