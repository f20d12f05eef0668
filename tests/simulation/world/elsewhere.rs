//! What is done at the provider beside us.

use rand::RngExt;

use super::World;
use crate::gate::lock;

impl World<'_> {
    /// Somebody gives money back there, contests a payment, or takes one back.
    pub(super) fn elsewhere(&mut self) {
        let mut provider = lock(&self.provider);
        let (what, reference) = match self.chance.random_range(0..6) {
            0..3 => ("contested", provider.contests()),
            3..5 => ("refunded", provider.refunds_there()),
            _ => ("reversed", provider.reverses()),
        };
        drop(provider);
        if let Some(reference) = reference {
            self.note(|| format!("{reference} is {what} at the provider"));
        }
    }
}
