//! `tollgate merchant`: merchants are made by whoever runs the gateway.

use clap::Subcommand;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tollgate_domain::ids::MerchantId;

use super::database::{Database, block_on, open, told};
use super::say;
use crate::flows::merchants::{self, Change, NewMerchant};
use crate::store::merchants::MerchantRow;

/// What is done with merchants.
#[derive(Subcommand)]
pub enum Merchant {
    /// Make a merchant, and print the key that may do everything on its behalf: here and never again.
    Add {
        /// What you call it.
        name: String,
        /// Refuse its POST requests that come without an idempotency key.
        #[arg(long)]
        demand_keys: bool,
        #[command(flatten)]
        database: Database,
    },
    /// List merchants, oldest first.
    List {
        #[command(flatten)]
        database: Database,
    },
    /// Change a merchant.
    Set {
        /// Its id.
        id: MerchantId,
        /// What you call it.
        #[arg(long)]
        name: Option<String>,
        /// Whether its POST requests need an idempotency key.
        #[arg(long, value_name = "true|false")]
        demand_keys: Option<bool>,
        #[command(flatten)]
        database: Database,
    },
}

/// Does it.
pub fn run(command: Merchant, as_json: bool) -> anyhow::Result<()> {
    match command {
        Merchant::Add { name, demand_keys, database } => block_on(async {
            let open = open(&database.settings()?).await?;
            let new = NewMerchant { name, demands_keys: demand_keys };
            let added = merchants::add(&open.store, &open.chance, new).await.map_err(told)?;
            let key = added.secret.expose_secret();
            let mut made = of(&added.row);
            made["key"] = json!(key);
            say(as_json, &made, &format!("{}\nkey {key}", line(&added.row)))
        }),
        Merchant::List { database } => block_on(async {
            let open = open(&database.settings()?).await?;
            let rows = merchants::list(&open.store).await.map_err(told)?;
            let lines: Vec<String> = rows.iter().map(line).collect();
            let all: Vec<Value> = rows.iter().map(of).collect();
            say(as_json, &json!({ "merchants": all }), &lines.join("\n"))
        }),
        Merchant::Set { id, name, demand_keys, database } => block_on(async {
            let open = open(&database.settings()?).await?;
            let change = Change { name, demands_keys: demand_keys };
            let row = merchants::set(&open.store, id, change).await.map_err(told)?;
            say(as_json, &of(&row), &line(&row))
        }),
    }
}

fn of(row: &MerchantRow) -> Value {
    json!({
        "id": row.id, "name": row.name, "demands_keys": row.demands_keys == 1,
        "created_at": row.created_at.to_string(),
    })
}

fn line(row: &MerchantRow) -> String {
    let demands = if row.demands_keys == 1 { ", demands idempotency keys" } else { "" };
    format!("{} {:?}{demands}", row.id, row.name)
}
