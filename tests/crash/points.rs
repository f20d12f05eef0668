//! SIGKILL at every point at which something becomes durable, is sent, or arrives: after a restart, what was
//! acknowledged is there, what was not can be asked for again, and nothing has happened twice. Each phase of a payment's
//! life has a file, and a test for each provider's component: all points at the first, one of each kind at the others.

mod closes;
mod endings;
mod notifications;
mod orders;
mod reconciliations;
mod refunds;
mod starts;

use serde_json::Value;
use tollgate_tests::database::on_postgres;
use tollgate_tests::shim::Point;

use crate::program::Scene;

/// A provider at which the process dies.
#[derive(Clone, Copy, Debug)]
pub struct Provider {
    id: &'static str,
    /// How it is paid.
    method: &'static str,
    /// A method whose start asks it: not every one does.
    asks: &'static str,
    /// Whether the payer's browser has a page to open: a code for the provider's own app leads nowhere else.
    shows_page: bool,
    /// How often it is asked because of one message of its own: to verify it, about the payment, for the money.
    questions: u64,
    /// Whether its payer approves first, and the money is taken after that.
    takes: bool,
    /// Whether the process dies at every point here, or at one of each kind.
    at_all_points: bool,
}

/// Alipay.
pub const ALIPAY: Provider = Provider {
    id: "alipay",
    method: "qr",
    asks: "qr",
    shows_page: true,
    questions: 1,
    takes: false,
    at_all_points: true,
};
/// UnionPay, whose page is a form that the payer posts: for an app's order it is asked first.
pub const UNIONPAY: Provider =
    Provider { id: "unionpay", method: "page", asks: "app", at_all_points: false, ..ALIPAY };
/// WeChat Pay.
pub const WECHAT_PAY: Provider =
    Provider { id: "wechatpay", method: "native", asks: "native", shows_page: false, ..UNIONPAY };
/// Stripe.
pub const STRIPE: Provider =
    Provider { id: "stripe", method: "checkout", asks: "checkout", ..UNIONPAY };
/// PayPal, which verifies its messages itself.
pub const PAYPAL: Provider = Provider {
    id: "paypal",
    method: "wallet",
    asks: "wallet",
    questions: 3,
    takes: true,
    ..UNIONPAY
};

impl Provider {
    async fn scene(self) -> Scene {
        Scene::at(self.id).await
    }

    /// Where to die while it is asked: around commits, answers and the asking.
    fn asking(self) -> Vec<(Point, u64)> {
        let mut points = if self.at_all_points { local() } else { few() };
        points.extend(ASKING.map(|at| (at, 1)));
        points
    }

    /// Where to die while a message of its own has it asked: at each question.
    fn questioning(self) -> Vec<(Point, u64)> {
        let more = (2..=self.questions).flat_map(|nth| ASKING.map(|at| (at, nth)));
        self.asking().into_iter().chain(more).collect()
    }
}

/// Around a question to the provider.
const ASKING: [Point; 3] = [Point::BeforeAsking, Point::AfterAsking, Point::AfterHearing];

/// Around each commit: what makes it durable is the process's own on SQLite, and a statement away on Postgres.
fn commits() -> Vec<(Point, u64)> {
    if on_postgres() {
        let times = |point: Point, times: [u64; 3]| times.map(|nth| (point, nth));
        [
            times(Point::BeforeStatement, [2, 6, 11]),
            times(Point::AfterStatement, [4, 8, 14]),
            times(Point::AfterRows, [3, 7, 12]),
        ]
        .concat()
    } else {
        let points = [Point::BeforeCommit, Point::AfterCommit];
        points.into_iter().flat_map(|point| [1, 2, 3].map(|nth| (point, nth))).collect()
    }
}

/// Where to die while something is done that sends nothing.
fn local() -> Vec<(Point, u64)> {
    let mut points = commits();
    points.extend([(Point::BeforeAnswering, 1), (Point::AfterAnswering, 1)]);
    points
}

/// One of each kind of these: with what was meant on the disk, or what came of it not.
fn few() -> Vec<(Point, u64)> {
    let mut points = if on_postgres() {
        vec![(Point::BeforeStatement, 6), (Point::AfterStatement, 8), (Point::AfterRows, 7)]
    } else {
        vec![(Point::AfterCommit, 1), (Point::BeforeCommit, 2)]
    };
    points.extend([(Point::BeforeAnswering, 1), (Point::AfterAnswering, 1)]);
    points
}

/// How many named points must have killed the process in each phase: with six phases, 33 in all at Alipay. Usually it is
/// about 60 on SQLite and 80 on Postgres; where writes share a commit, a third one never comes.
const LEAST_OF_AN_ORDER: usize = 3;
const LEAST: usize = 6;

/// Each of these must have killed the process once, or the suite tests nothing. Commits have another name on Postgres.
fn all_died(phase: &str, died: &[(Point, u64)], must: &[Point]) {
    for point in must {
        let point = match point {
            Point::BeforeCommit if on_postgres() => Point::BeforeStatement,
            Point::AfterCommit if on_postgres() => Point::AfterRows,
            same => *same,
        };
        assert!(died.iter().any(|(at, _)| *at == point), "{phase} was never killed at {point:?}");
    }
    let least = if must.contains(&Point::BeforeAsking) { LEAST } else { LEAST_OF_AN_ORDER };
    assert!(died.len() >= least, "{phase} was killed at {died:?} alone");
}

/// What most phases pass through: the disk, the provider, and whoever asked us.
const EACH_KIND: [Point; 6] = [
    Point::BeforeCommit,
    Point::AfterCommit,
    Point::BeforeAsking,
    Point::AfterAsking,
    Point::AfterHearing,
    Point::BeforeAnswering,
];

/// An order that its payer has paid, and the gateway knows.
async fn paid(scene: &Scene, provider: Provider) -> Value {
    let order = scene.world.order(1250).await;
    let payment = scene.world.pay(&order, provider.method).await;
    scene.world.payer_pays(&payment).await;
    scene.world.payment_until(&payment, "succeeded").await
}
