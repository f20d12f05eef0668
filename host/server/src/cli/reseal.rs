//! `tollgate reseal`: the last step of replacing the key that seals secrets.

use serde_json::json;

use super::database::{Database, block_on, open, told};
use super::say;
use crate::flows::reseal;
use crate::server::key;
use crate::store::accounts;

/// Puts whatever is sealed under the key of now.
pub fn run(database: Database, as_json: bool) -> anyhow::Result<()> {
    block_on(async {
        let settings = database.settings()?;
        let open = open(&settings).await?;
        let sealed = accounts::all(&mut open.store.read().await?).await?;
        let sealer = key::sealer(&settings.key, settings.also.as_ref(), &sealed, &open.chance)?;
        let done = reseal::run(&open.store, &sealer, &open.chance).await.map_err(told)?;
        let json = json!({
            "accounts": done.accounts, "endpoints": done.endpoints, "answers": done.answers,
        });
        let (accounts, endpoints, answers) = (done.accounts, done.endpoints, done.answers);
        let text = format!(
            "resealed {accounts} accounts, {endpoints} webhook endpoints and {answers} answers"
        );
        say(as_json, &json, &text)
    })
}
