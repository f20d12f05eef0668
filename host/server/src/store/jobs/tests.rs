//! What the database reads to find a job: a piece of one index, however many jobs there are.

use super::*;
use crate::store::plans::plan;

#[tokio::test]
async fn a_claim_reads_the_head_of_one_line() {
    let steps = plan(CLAIM).await;
    let head = "SEARCH jobs USING COVERING INDEX jobs_by_queue (queue=? AND wake_at<?)";
    let head_too = "SEARCH jobs USING INDEX jobs_by_queue (queue=? AND wake_at<?)";
    assert!(steps.iter().any(|step| step == head || step == head_too), "{steps:#?}");
    for step in &steps {
        assert!(!step.contains("SCAN jobs") && !step.contains("TEMP B-TREE"), "{steps:#?}");
    }
}

#[tokio::test]
async fn the_lines_are_found_by_one_look_each() {
    let steps = plan(LINES).await;
    let of_jobs: Vec<&String> = steps.iter().filter(|step| step.contains(" jobs")).collect();
    assert_eq!(of_jobs.len(), 3, "{steps:#?}");
    for step in of_jobs {
        assert!(step.contains("INDEX jobs_by_queue"), "{steps:#?}");
    }
    assert!(!steps.iter().any(|step| step.contains("TEMP B-TREE")), "{steps:#?}");
}

#[test]
fn a_line_tells_its_lane_and_key() {
    for lane in Lane::ALL {
        assert_eq!(Lane::of(&lane.line("acc_1")), (lane, "acc_1"));
        assert_eq!(Lane::of(&lane.line("")), (lane, ""));
    }
    assert_eq!(Lane::of("nonsense"), (Lane::Short, ""));
}
