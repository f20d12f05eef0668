//! What gateways on one database agree on before they work.

use super::Flow;
use crate::gateway::Gateway;
use crate::store::{self, installation};

/// What the witness is bound to when it is sealed.
pub(super) const WITNESS: &str = "installation";

/// Holds every gateway on the database to the key of the first: with another one, what this gateway seals could not be
/// opened by the others.
///
/// # Errors
/// [`crate::sealing::SealError::Broken`]: the key is another one.
pub async fn agree_on_key(gateway: &Gateway) -> Flow<()> {
    gateway
        .store
        .write(move |tx| {
            Box::pin(async move {
                store::take_turn(tx.sql()).await?;
                if let Some(witness) = installation::witness(tx.sql()).await? {
                    gateway.sealer.open(WITNESS, &witness)?;
                    return Ok(());
                }
                let witness = gateway.sealer.seal(WITNESS, b"the same key", &gateway.chance)?;
                Ok(installation::keep_witness(tx.sql(), &witness).await?)
            })
        })
        .await
}
