//! Operations that say `wait`: their state lies in a row, and they go on from there when their time has come. Until then
//! nobody begins the same operation on the same payment or refund anew.

use tollgate_domain::ids::{MerchantId, PaymentId, RefundId};
use tollgate_domain::time::Moment;
use tollgate_plugin::contract::Operation;
use tollgate_plugin::operation_name;

use super::operation::{Ending, Task};
use super::{Flow, FlowError, learn, payments, query, refunds};
use crate::gateway::Gateway;
use crate::jobs::Kind;
use crate::store::Tx;
use crate::store::pauses::{self, PauseRow};

/// A provider that wants to be left alone for longer is asked again all the same.
const LONGEST_WAIT_MS: i64 = 7 * 86_400_000;

/// What a run does to the row of its operation.
#[derive(Default)]
pub enum Pause {
    /// Nothing: there is none, or its time has not come.
    #[default]
    Stays,
    /// It waits from now on.
    Begins(PauseRow),
    /// It went on to its end.
    Ends(&'static str),
}

impl Pause {
    /// What becomes of the row when an operation ended like this.
    pub fn after(gateway: &Gateway, task: &Task<'_>, had_one: bool, ending: &Ending) -> Pause {
        let name = operation_name(task.operation);
        match ending {
            _ if !is_kept(task.operation) => Pause::Stays,
            Ending::Wait { after_ms, state } => {
                let millis = i64::from(*after_ms).min(LONGEST_WAIT_MS);
                let due_at = gateway.store.now().plus_millis(millis);
                Pause::Begins(PauseRow { operation: name.to_owned(), state: state.clone(), due_at })
            }
            _ if had_one => Pause::Ends(name),
            _ => Pause::Stays,
        }
    }

    /// Writes it, with the job that goes on.
    pub async fn write(
        &self,
        tx: &mut Tx<'_>,
        gateway: &Gateway,
        merchant: MerchantId,
        subject: &str,
    ) -> Flow<()> {
        match self {
            Pause::Stays => Ok(()),
            Pause::Begins(row) => {
                pauses::put(tx.sql(), merchant, subject, row).await?;
                learn::put_job(tx, gateway, merchant, Kind::GoOn, subject, row.due_at).await
            }
            Pause::Ends(operation) => {
                Ok(pauses::end(tx.sql(), merchant, subject, operation).await?)
            }
        }
    }
}

/// Whether an operation's state is kept here. A bill keeps its own, and keys are asked for anew.
fn is_kept(operation: &Operation) -> bool {
    !matches!(operation, Operation::Bill(_) | Operation::FetchKeys(_))
}

/// Where the operation of a task stands, if it waits.
pub async fn of(gateway: &Gateway, task: &Task<'_>) -> Flow<Option<PauseRow>> {
    if !is_kept(task.operation) {
        return Ok(None);
    }
    let mut sql = gateway.store.read().await?;
    let rows = pauses::of(&mut sql, task.account.row.merchant_id, task.subject).await?;
    let name = operation_name(task.operation);
    Ok(rows.into_iter().find(|row| row.operation == name))
}

/// Goes on with each operation on `subject` whose time has come. Gives when the next one is due.
pub async fn go_on(gateway: &Gateway, merchant: MerchantId, subject: &str) -> Flow<Option<Moment>> {
    let began = gateway.store.now();
    for row in all(gateway, merchant, subject).await? {
        if row.due_at > began {
            continue;
        }
        if let Ok(id) = subject.parse::<PaymentId>() {
            on_payment(gateway, merchant, id, &row.operation).await?;
        } else if let Ok(id) = subject.parse::<RefundId>() {
            on_refund(gateway, merchant, id, &row.operation).await?;
        }
        // One that nobody wants any more was not run, and stands where it stood.
        let after = all(gateway, merchant, subject).await?;
        if after.contains(&row) {
            forget(gateway, merchant, subject, &row.operation).await?;
        }
    }
    let left = all(gateway, merchant, subject).await?;
    Ok(left.first().map(|row| row.due_at))
}

async fn all(gateway: &Gateway, merchant: MerchantId, subject: &str) -> Flow<Vec<PauseRow>> {
    let mut sql = gateway.store.read().await?;
    Ok(pauses::of(&mut sql, merchant, subject).await?)
}

async fn forget(
    gateway: &Gateway,
    merchant: MerchantId,
    subject: &str,
    operation: &str,
) -> Flow<()> {
    let write = gateway.store.write::<(), FlowError, _>(move |tx| {
        Box::pin(async move { Ok(pauses::end(tx.sql(), merchant, subject, operation).await?) })
    });
    write.await
}

async fn on_payment(
    gateway: &Gateway,
    merchant: MerchantId,
    id: PaymentId,
    operation: &str,
) -> Flow<()> {
    let limit = gateway.settings.call_limit;
    match operation {
        "pay" => payments::after_wait(gateway, merchant, id).await?,
        "close" => {
            query::close_payment(gateway, merchant, id).await?;
        }
        _ => {
            query::ask_payment(gateway, merchant, id, limit, |row| !row.state.is_alive()).await?;
        }
    }
    Ok(())
}

async fn on_refund(
    gateway: &Gateway,
    merchant: MerchantId,
    id: RefundId,
    operation: &str,
) -> Flow<()> {
    let limit = gateway.settings.call_limit;
    match operation {
        "refund" => refunds::after_wait(gateway, merchant, id).await?,
        _ => {
            query::ask_refund(gateway, merchant, id, limit).await?;
        }
    }
    Ok(())
}
