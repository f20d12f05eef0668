//! What gateways on one database agree on before they work.

use zeroize::Zeroizing;

use super::Flow;
use crate::chance::Chance;
use crate::sealing::{Marks, Sealer};
use crate::store::{self, Store, installation};

/// What the witness is bound to when it is sealed.
pub(super) const WITNESS: &str = "installation";

/// Holds every gateway on the database to the key of the first: with another one, what this gateway seals could not be
/// opened by the others. Gives the key of their marks, which lies sealed under it as its witness.
///
/// # Errors
/// [`crate::sealing::SealError::Broken`]: the key is another one.
pub async fn agree_on_key(store: &Store, sealer: &Sealer, chance: &Chance) -> Flow<Marks> {
    store
        .write(move |tx| {
            Box::pin(async move {
                store::take_turn(tx.sql()).await?;
                if let Some(witness) = installation::witness(tx.sql()).await? {
                    return Ok(Marks::new(&sealer.open(WITNESS, &witness)?));
                }
                let key = Zeroizing::new(chance.bytes::<32>());
                let witness = sealer.seal(WITNESS, key.as_slice(), chance)?;
                installation::keep_witness(tx.sql(), &witness).await?;
                Ok(Marks::new(key.as_slice()))
            })
        })
        .await
}
