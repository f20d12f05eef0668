//! What all gateways on the database have in common.

use super::{Sql, StoreError};

const WITNESS: &str = "SELECT witness FROM installation WHERE id = 'this'";
const RESEAL: &str = "UPDATE installation SET witness = $2 WHERE id = 'this' AND witness = $1";
const KEEP_WITNESS: &str = "INSERT INTO installation (id, witness) VALUES ('this', $1)";

/// What was sealed at the first start.
pub async fn witness(sql: &mut Sql) -> Result<Option<Vec<u8>>, StoreError> {
    let row: Option<(Vec<u8>,)> = sqlx::query_as(WITNESS).fetch_optional(sql).await?;
    Ok(row.map(|(witness,)| witness))
}

/// Writes what was sealed at the first start as another key sealed it.
pub async fn reseal(sql: &mut Sql, read: &[u8], sealed: &[u8]) -> Result<(), StoreError> {
    sqlx::query(RESEAL).bind(read).bind(sealed).execute(sql).await?;
    Ok(())
}

/// Keeps what is sealed at the first start.
pub async fn keep_witness(sql: &mut Sql, witness: &[u8]) -> Result<(), StoreError> {
    sqlx::query(KEEP_WITNESS).bind(witness).execute(sql).await?;
    Ok(())
}
