//! Jobs over HTTP: what the gateway still has to do, what it set aside, and what it has done.

use std::str::FromStr;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use tollgate_domain::ids::kind;
use utoipa::ToSchema;

use super::caller::{Caller, Named};
use super::page::{self, Page, Query};
use super::problem::{Problem, ProblemBody};
use super::{Shared, finish};
use crate::flows::jobs;
use crate::store::jobs::JobRow;
use crate::store::jobs::history::EndedRow;

/// Something to be done, at a time.
#[derive(Serialize, ToSchema)]
pub struct Job {
    /// Starts with `job_`; later ones sort after.
    id: String,
    /// What: `query_payment`, `query_refund`, `end_order`, `read_notice`, `daily_bills`, `reconcile`…
    kind: String,
    /// With what: the id of a payment, a refund, an order…
    subject_id: String,
    /// scheduled, parked after failing too often, or ended.
    state: &'static str,
    /// How often it was tried.
    attempts: i64,
    /// Why the last attempt did not finish it.
    reason: Option<String>,
    /// When it is tried next; null unless it is scheduled.
    #[schema(format = DateTime)]
    due_at: Option<String>,
    /// When it was written.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it ended; null unless it has.
    #[schema(format = DateTime)]
    ended_at: Option<String>,
}

impl Job {
    fn render(row: JobRow) -> Job {
        let parked = row.parked_at.is_some();
        Job {
            id: row.id.to_string(),
            kind: row.kind,
            subject_id: row.subject_id,
            state: if parked { "parked" } else { "scheduled" },
            attempts: row.attempts,
            reason: row.reason,
            due_at: (!parked).then(|| row.due_at.to_string()),
            created_at: row.created_at.to_string(),
            ended_at: None,
        }
    }

    fn render_ended(row: EndedRow) -> Job {
        Job {
            id: row.id.to_string(),
            kind: row.kind,
            subject_id: row.subject_id,
            state: "ended",
            attempts: row.attempts,
            reason: row.reason,
            due_at: None,
            created_at: row.created_at.to_string(),
            ended_at: Some(row.ended_at.to_string()),
        }
    }
}

/// Which jobs to list.
enum Which {
    Scheduled,
    Parked,
    Ended,
}

impl FromStr for Which {
    type Err = ();

    fn from_str(text: &str) -> Result<Which, ()> {
        match text {
            "scheduled" => Ok(Which::Scheduled),
            "parked" => Ok(Which::Parked),
            "ended" => Ok(Which::Ended),
            _ => Err(()),
        }
    }
}

/// List jobs, newest first: those that are due one day, or by `state` those that were parked or that ended within the
/// last days.
#[utoipa::path(get, path = "/v1/jobs", tag = "operations", operation_id = "listJobs",
    security(("key" = ["read"])),
    params(("state" = Option<String>, Query, description = "scheduled, parked or ended"),
        ("limit" = Option<u8>, Query, minimum = 1, maximum = 100), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Page<Job>),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn list(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    query: Query,
) -> Result<Json<Page<Job>>, Problem> {
    let state = query.one_of::<Which>("state", "must be scheduled, parked or ended")?;
    let which = state.parse().unwrap_or(Which::Scheduled);
    let before = query.before::<kind::Job>()?.to_owned();
    let limit = query.limit()?;
    finish(async move {
        let most = page::one_more(limit);
        let jobs: Vec<Job> = match which {
            Which::Ended => {
                let rows = jobs::ended(&gateway, merchant, &before, most).await?;
                rows.into_iter().map(Job::render_ended).collect()
            }
            Which::Scheduled | Which::Parked => {
                let parked = matches!(which, Which::Parked);
                let rows = jobs::list(&gateway, merchant, parked, &before, most).await?;
                rows.into_iter().map(Job::render).collect()
            }
        };
        let (data, next_cursor) = page::cut(jobs, limit, |job| job.id.clone());
        Ok(Json(Page { data, next_cursor }))
    })
    .await
}

/// Replay a parked job: it is due now, and has as many attempts as at first.
#[utoipa::path(post, path = "/v1/jobs/{id}/replay", tag = "operations", operation_id = "replayJob",
    security(("key" = ["payments:write"])),
    params(("id" = String, Path)),
    responses((status = 200, body = Job),
        (status = "default", body = ProblemBody, content_type = "application/problem+json")))]
pub async fn replay(
    State(gateway): State<Shared>,
    Caller(merchant): Caller,
    Named(id): Named<kind::Job>,
) -> Result<Json<Job>, Problem> {
    finish(async move {
        let row = jobs::replay(&gateway, merchant, id).await?;
        Ok(Json(Job::render(row)))
    })
    .await
}
