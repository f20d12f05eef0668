//! What gateways on one database agree on before they work.

use zeroize::Zeroizing;

use super::Flow;
use crate::chance::Chance;
use crate::sealing::{Marks, Sealer};
use crate::store::{self, Store, installation};

/// Bytes of the key of marks.
const MARKS_KEY: usize = 32;
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
                let witness = installation::witness(tx.sql()).await?;
                let opened = witness.as_deref().map(|sealed| sealer.open(WITNESS, sealed));
                let opened = opened.transpose()?;
                if let Some(key) = opened.filter(|opened| opened.len() == MARKS_KEY) {
                    return Ok(Marks::new(&key));
                }
                let key = Zeroizing::new(chance.bytes::<MARKS_KEY>());
                let sealed = sealer.seal(WITNESS, key.as_slice(), chance)?;
                match &witness {
                    // A witness that says nothing but that the key is the same.
                    Some(bare) => installation::reseal(tx.sql(), bare, &sealed).await?,
                    None => installation::keep_witness(tx.sql(), &sealed).await?,
                }
                Ok(Marks::new(key.as_slice()))
            })
        })
        .await
}
