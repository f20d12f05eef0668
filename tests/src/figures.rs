//! Figures of the measuring programs: medians, percentiles, ratios in thousandths, and the line that tells each. All of
//! it in integers.

use std::time::Duration;

use serde_json::{Value, json};

/// Thousandths of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Milli(pub u128);

impl Milli {
    /// A whole number.
    pub fn whole(number: u64) -> Milli {
        Milli(u128::from(number) * 1000)
    }

    /// How many times `other` goes into `one`.
    pub fn ratio(one: Duration, other: Duration) -> Milli {
        Milli(one.as_nanos() * 1000 / other.as_nanos().max(1))
    }

    /// Microseconds.
    pub fn micros(time: Duration) -> Milli {
        Milli(time.as_nanos())
    }

    /// How many of these there were in a second.
    pub fn per_second(count: u64, time: Duration) -> Milli {
        Milli::whole(
            u64::try_from(u128::from(count) * 1_000_000_000 / time.as_nanos().max(1)).unwrap(),
        )
    }

    fn json(self) -> Value {
        let text = format!("{}.{:03}", self.0 / 1000, self.0 % 1000);
        serde_json::from_str(&text).unwrap()
    }
}

/// The middle of some values.
pub fn median<T: Ord + Copy>(mut values: Vec<T>) -> T {
    values.sort_unstable();
    values[values.len() / 2]
}

/// The value that 99 of 100 do not exceed.
pub fn p99<T: Ord + Copy>(mut values: Vec<T>) -> T {
    values.sort_unstable();
    values[(values.len() * 99 / 100).min(values.len() - 1)]
}

/// Tells a figure that has a goal up to which it holds.
pub fn goal(name: &str, value: Milli, unit: &str, most: Milli) {
    let goal = format!("<= {}", most.json());
    tell(&json!({
        "name": name, "value": value.json(), "unit": unit, "goal": goal, "holds": value <= most,
    }));
}

/// Tells a figure that has a goal from which up it holds.
pub fn at_least(name: &str, value: Milli, unit: &str, least: Milli) {
    let goal = format!(">= {}", least.json());
    tell(&json!({
        "name": name, "value": value.json(), "unit": unit, "goal": goal, "holds": value >= least,
    }));
}

/// Tells a figure that stands beside others.
pub fn fact(name: &str, value: Milli, unit: &str) {
    tell(
        &json!({ "name": name, "value": value.json(), "unit": unit, "goal": null, "holds": null }),
    );
}

fn tell(figure: &Value) {
    println!("{figure}");
}
