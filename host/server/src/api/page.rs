//! Lists in pages: what is asked for in the query, and where the next page begins.

use std::collections::BTreeMap;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::Serialize;
use tollgate_domain::ids::{Id, Kind};
use utoipa::ToSchema;

use super::problem::Problem;

const LIMIT: usize = 20;
const MOST: usize = 100;
/// Sorts after every id.
pub const AFTER_ALL: &str = "~";

/// One page of a list.
#[derive(Serialize, ToSchema)]
pub struct Page<T> {
    /// What is on it.
    pub data: Vec<T>,
    /// `cursor` of the next page; null on the last.
    pub next_cursor: Option<String>,
}

/// The query of an address, each name once.
pub struct Query(BTreeMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Query, Problem> {
        Query::read(parts.uri.query().unwrap_or_default())
    }
}

impl Query {
    /// Reads what stands behind the question mark.
    pub fn read(text: &str) -> Result<Query, Problem> {
        let mut pairs = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
            // PostgreSQL's texts take no NUL, and nothing that is looked for has the others.
            if value.chars().any(char::is_control) || name.chars().any(char::is_control) {
                return Err(Problem::field(
                    name.escape_debug().to_string(),
                    "has control characters",
                ));
            }
            if pairs.insert(name.to_string(), value.to_string()).is_some() {
                return Err(Problem::field(name, "stands there twice"));
            }
        }
        Ok(Query(pairs))
    }

    /// Refuses names that a route does not have.
    pub fn only(&self, names: &[String]) -> Result<(), Problem> {
        match self.0.keys().find(|name| !names.contains(name)) {
            Some(name) => Err(Problem::field(name.as_str(), "is not a parameter of this request")),
            None => Ok(()),
        }
    }

    /// A text; empty where it is not given.
    pub fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// A value of a `T`, as its text reads in rows; empty where it is not given.
    pub fn one_of<T: FromStr>(&self, name: &str, rule: &str) -> Result<&str, Problem> {
        let text = self.text(name);
        if text.is_empty() || text.parse::<T>().is_ok() {
            return Ok(text);
        }
        Err(Problem::field(name, rule))
    }

    /// An id; empty where it is not given.
    pub fn id<K: Kind>(&self, name: &str) -> Result<&str, Problem> {
        self.one_of::<Id<K>>(name, &format!("must be an id that starts with {}_", K::PREFIX))
    }

    /// How many are wanted: 1 to 100, or 20.
    pub fn limit(&self) -> Result<usize, Problem> {
        let Some(text) = self.0.get("limit") else {
            return Ok(LIMIT);
        };
        let limit = text.parse().ok().filter(|limit| (1..=MOST).contains(limit));
        limit.ok_or_else(|| Problem::field("limit", format!("must be between 1 and {MOST}")))
    }

    /// Where a list that is newest first goes on: after all that were seen.
    pub fn before<K: Kind>(&self) -> Result<&str, Problem> {
        let cursor = self.one_of::<Id<K>>("cursor", "must be the next_cursor of a page before")?;
        Ok(if cursor.is_empty() { AFTER_ALL } else { cursor })
    }
}

/// How many rows to ask for, so that one more than wanted tells whether there is a next page.
pub fn one_more(limit: usize) -> i64 {
    i64::try_from(limit + 1).unwrap_or(i64::MAX)
}

/// Cuts the row too many off and says where the next page begins.
pub fn cut<R>(
    mut rows: Vec<R>,
    limit: usize,
    id: impl Fn(&R) -> String,
) -> (Vec<R>, Option<String>) {
    if rows.len() <= limit {
        return (rows, None);
    }
    rows.truncate(limit);
    let next = rows.last().map(id);
    (rows, next)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollgate_domain::ids::kind::Order;
    use tollgate_domain::order::OrderState;

    fn refused<T>(result: Result<T, Problem>) -> String {
        result.err().unwrap().errors()[0].field.clone()
    }

    #[test]
    fn queries_are_read_strictly() {
        let id = format!("ord_{}", "0".repeat(32));
        let query = Query::read(&format!("limit=7&cursor={id}&state=paid")).unwrap();
        assert!(query.only(&["state", "limit", "cursor"].map(str::to_owned)).is_ok());
        assert_eq!(query.limit().unwrap(), 7);
        assert_eq!(query.before::<Order>().unwrap(), id);
        assert_eq!(query.one_of::<OrderState>("state", "").unwrap(), "paid");
        assert_eq!(Query::read("").unwrap().before::<Order>().unwrap(), AFTER_ALL);

        for limit in ["0", "101", "-1", "1.5", "", "x"] {
            assert_eq!(refused(Query::read(&format!("limit={limit}")).unwrap().limit()), "limit");
        }
        assert_eq!(refused(Query::read("cursor=pay_1").unwrap().before::<Order>()), "cursor");
        assert_eq!(
            refused(Query::read("state=done").unwrap().one_of::<OrderState>("state", "")),
            "state"
        );
        assert_eq!(
            refused(Query::read("colour=red").unwrap().only(&["state".to_owned()])),
            "colour"
        );
        assert_eq!(refused(Query::read("limit=1&limit=2")), "limit");
        assert_eq!(refused(Query::read("number=a%00b")), "number");
        assert_eq!(refused(Query::read("a%0Ab=1")), "a\\nb");
    }

    #[test]
    fn a_page_knows_whether_there_is_another() {
        let id = |row: &u8| row.to_string();
        assert_eq!(cut(vec![3u8, 2, 1], 2, id), (vec![3, 2], Some("2".to_owned())));
        assert_eq!(cut(vec![3u8, 2], 2, id), (vec![3, 2], None));
        assert_eq!(cut(Vec::<u8>::new(), 2, id), (vec![], None));
    }
}
