//! `tollgate key`: API keys, for whoever runs the gateway. A merchant makes its own over the API.

use clap::Subcommand;
use serde_json::{Value, json};
use tollgate_domain::ids::{ApiKeyId, MerchantId};
use tollgate_domain::scope::{Scope, Scopes};
use tollgate_domain::time::Moment;

use super::database::{Database, block_on, open, told};
use super::say;
use crate::api::page;
use crate::flows::keys::{self, Issued, Issuer, NewKey};
use crate::flows::merchants;
use crate::store::keys::KeyRow;

/// What is done with keys.
#[derive(Subcommand)]
pub enum Key {
    /// Make a key of a merchant, and print it: here and never again.
    Add {
        /// The merchant's id.
        merchant: MerchantId,
        /// What you call it.
        #[arg(long)]
        name: String,
        /// What it may do; once for each: read, orders:write, payments:write, refunds:write, accounts:write,
        /// reconciliation:write, webhooks:write, keys:write, or full.
        #[arg(long = "scope", value_name = "SCOPE", required = true)]
        scopes: Vec<Scope>,
        /// How many requests a second it may make; as configured if you do not say.
        #[arg(long)]
        per_second: Option<i64>,
        /// How long it lives, in seconds; until it is revoked if you do not say.
        #[arg(long)]
        expires_in_s: Option<i64>,
        #[command(flatten)]
        database: Database,
    },
    /// List a merchant's keys, newest first.
    List {
        /// The merchant's id.
        merchant: MerchantId,
        #[command(flatten)]
        database: Database,
    },
    /// Make a key that may do the same beside this one, and print it. The old one ends after the overlap.
    Rotate {
        /// The key's id.
        id: ApiKeyId,
        /// How long the old key still works, in seconds.
        #[arg(long, default_value_t = 86_400)]
        overlap_s: i64,
        #[command(flatten)]
        database: Database,
    },
    /// End a key now.
    Revoke {
        /// The key's id.
        id: ApiKeyId,
        #[command(flatten)]
        database: Database,
    },
}

/// Does it.
pub fn run(command: Key, as_json: bool) -> anyhow::Result<()> {
    match command {
        Key::Add { merchant, name, scopes, per_second, expires_in_s, database } => {
            block_on(async {
                let open = open(&database.settings()?).await?;
                merchants::get(&open.store, merchant).await.map_err(told)?;
                let scopes = Scopes::of(scopes.iter().map(|scope| scope.as_str()))?;
                let new = NewKey { name, scopes, per_second, expires_in_s };
                let (store, chance) = (&open.store, &open.chance);
                let issued = keys::issue(store, chance, Issuer::Operator, merchant, new, None);
                tell(as_json, &issued.await.map_err(told)?, store.now())
            })
        }
        Key::List { merchant, database } => block_on(async {
            let open = open(&database.settings()?).await?;
            merchants::get(&open.store, merchant).await.map_err(told)?;
            let rows = keys::list(&open.store, merchant, page::AFTER_ALL, i64::MAX);
            let (rows, now) = (rows.await.map_err(told)?, open.store.now());
            let lines: Vec<String> = rows.iter().map(|row| line(row, now)).collect();
            let all: Vec<Value> = rows.iter().map(|row| of(row, now)).collect();
            say(as_json, &json!({ "keys": all }), &lines.join("\n"))
        }),
        Key::Rotate { id, overlap_s, database } => block_on(async {
            let open = open(&database.settings()?).await?;
            let (store, chance) = (&open.store, &open.chance);
            let place = (keys::anybodys(store, id).await.map_err(told)?.merchant_id, id);
            let issued = keys::rotate(store, chance, Issuer::Operator, place, overlap_s, None);
            tell(as_json, &issued.await.map_err(told)?, store.now())
        }),
        Key::Revoke { id, database } => block_on(async {
            let open = open(&database.settings()?).await?;
            let merchant = keys::anybodys(&open.store, id).await.map_err(told)?.merchant_id;
            let row = keys::revoke(&open.store, merchant, id).await.map_err(told)?;
            let now = open.store.now();
            say(as_json, &of(&row, now), &line(&row, now))
        }),
    }
}

fn tell(as_json: bool, issued: &Issued, now: Moment) -> anyhow::Result<()> {
    let key = keys::told(issued);
    let mut made = of(&issued.row, now);
    made["key"] = json!(key);
    say(as_json, &made, &format!("{}\nkey {key}", line(&issued.row, now)))
}

fn of(row: &KeyRow, now: Moment) -> Value {
    let text = |micros: Option<i64>| micros.map(|micros| Moment(micros).to_string());
    let scopes: Vec<String> = row.scopes.iter().map(|scope| scope.to_string()).collect();
    json!({
        "id": row.id, "merchant_id": row.merchant_id, "name": row.name, "hint": row.hint,
        "scopes": scopes, "active": keys::lives(row, now), "per_second": row.per_second,
        "successor_id": row.successor, "expires_at": text(row.expires_at),
        "revoked_at": text(row.revoked_at), "created_at": row.created_at.to_string(),
    })
}

fn line(row: &KeyRow, now: Moment) -> String {
    let state = if keys::lives(row, now) { "active" } else { "over" };
    format!("{} {}… {:?} {state} {}", row.id, row.hint, row.name, row.scopes)
}
