//! The idempotency key of a sending. A provider keeps its answer to a key and gives it again, an error of its own as well: what
//! such a key was for is done under another one, or never. The key changes only where that can do no harm: the provider has
//! answered for good (the plugin says so, and for how long something may yet come of it), and a question that was put after
//! that says that nothing was done. A lost answer changes nothing: what may have been sent is repeated under its key.

use tollgate_domain::ids::MerchantId;
use tollgate_domain::payment::Told;
use tollgate_domain::time::Moment;
use tollgate_plugin::contract::{Fields, Operation};
use tollgate_plugin::operation_name;

use super::Flow;
use super::operation::Task;
use crate::gateway::Gateway;
use crate::store::Tx;
use crate::store::tries::{self, TryRow};

/// The name under which a plugin says, in the `extra` of a fault or a fact, that the provider keeps this answer to the call's
/// key; the value is after how many milliseconds a question that finds nothing proves that nothing was done.
const KEY_SPENT_MS: &str = "key-spent-ms";

/// A try of an operation.
#[derive(Clone, Copy, Debug)]
pub struct Try {
    operation: &'static str,
    number: i64,
}

impl Try {
    /// The one that is next, as the database has it.
    pub async fn next(gateway: &Gateway, task: &Task<'_>) -> Flow<Try> {
        let operation = operation_name(task.operation);
        if !changes_something(task.operation) {
            return Ok(Try { operation, number: 0 });
        }
        let mut sql = gateway.store.read().await?;
        let rows = tries::of(&mut sql, task.account.row.merchant_id, task.subject).await?;
        let row = rows.iter().find(|row| row.operation == operation);
        Ok(Try { operation, number: row.map_or(0, |row| row.number) })
    }

    /// Its key: at first what every try has in common.
    pub fn key(self, common: &str) -> String {
        match self.number {
            0 => common.to_owned(),
            number => format!("{common}-{number}"),
        }
    }
}

fn changes_something(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::Pay(_)
            | Operation::Complete(_)
            | Operation::Capture(_)
            | Operation::Close(_)
            | Operation::Refund(_)
    )
}

/// A try that the provider has answered for good.
pub struct Spent {
    of: Try,
    from: Moment,
}

impl Spent {
    /// If what a plugin says beside its answer is that.
    pub fn said(gateway: &Gateway, of: Try, extra: &Fields) -> Option<Spent> {
        let (_, text) = extra.iter().find(|(name, _)| name == KEY_SPENT_MS)?;
        let after_ms: u32 = text.parse().ok()?;
        let from = gateway.store.now().plus_millis(i64::from(after_ms));
        Some(Spent { of, from })
    }

    /// Writes it.
    pub async fn write(&self, tx: &mut Tx<'_>, merchant: MerchantId, subject: &str) -> Flow<()> {
        let of = (self.of.operation, self.of.number);
        Ok(tries::spend(tx.sql(), merchant, subject, of, self.from).await?)
    }
}

/// The tries on `subject` that an answer to a question from now on may prove to have done nothing.
pub async fn spent(gateway: &Gateway, merchant: MerchantId, subject: &str) -> Flow<Vec<TryRow>> {
    let now = gateway.store.now();
    let mut sql = gateway.store.read().await?;
    let mut rows = tries::of(&mut sql, merchant, subject).await?;
    rows.retain(|row| row.spent_from.is_some_and(|from| from <= now.0));
    Ok(rows)
}

/// Gives each of the tries that did nothing its successor. They were spent before the question was put that said so.
pub async fn renew(
    tx: &mut Tx<'_>,
    merchant: MerchantId,
    subject: &str,
    spent: &[TryRow],
    did_nothing: impl Fn(&str) -> bool,
) -> Flow<()> {
    for row in spent.iter().filter(|row| did_nothing(&row.operation)) {
        tries::renew(tx.sql(), merchant, subject, row).await?;
    }
    Ok(())
}

/// Whether an operation on a payment did nothing, by what the provider says of the payment after it.
pub fn did_nothing(operation: &str, told: Told) -> bool {
    match operation {
        "pay" => told == Told::NotFound,
        // Where the money had been taken, the payment would have gone on.
        "complete" => told == Told::Approved,
        "close" => matches!(told, Told::Pending | Told::Approved | Told::Authorized),
        _ => false,
    }
}
