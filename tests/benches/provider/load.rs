//! A gateway in a process of its own, and here what it has to do: a shop, payers, and the provider.

use std::fmt::Debug;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tollgate_tests::database::Storage;
use tollgate_tests::process::{AT_ONCE, Process};
use tollgate_tests::reply::text;
use tollgate_tests::shop::number;
use tollgate_tests::{Reply, Setup, World, place};

use crate::providers::Provider;

/// One provider's load.
pub struct Load {
    /// The provider, and the verbs of everybody else.
    pub world: World,
    /// Which provider.
    pub provider: Provider,
    gateway: Process,
    _data: TempDir,
}

impl Load {
    /// Starts both.
    pub async fn start(provider: &Provider) -> Load {
        let setup = Setup { provider: provider.id, ..Setup::default() };
        let mut world = World::without_gateway(Storage::File, setup).await;
        world.lose_notifications().await;
        let data = tempfile::tempdir_in(place::target()).unwrap();
        let (folder, plugins) = (data.path().to_str().unwrap(), place::plugins());
        let gateway = Process::start(&["gateway", folder, plugins.to_str().unwrap()]);
        (world.url, world.key) = (gateway.said("url").to_owned(), gateway.said("key").to_owned());
        Load { world, provider: *provider, gateway, _data: data }
    }

    /// The processor time that the gateway takes for some work.
    pub async fn cpu<T>(&self, work: impl Future<Output = T>) -> (Duration, T) {
        let before = self.gateway.cpu();
        let done = work.await;
        (self.gateway.cpu().saturating_sub(before), done)
    }

    /// The same for asking the provider about these payments, as flows do.
    pub fn ask(&mut self, payments: &[Value]) -> Duration {
        let ids: Vec<&str> = payments.iter().map(|payment| text(payment, "id")).collect();
        let before = self.gateway.cpu();
        self.gateway.tell(&json!(ids));
        self.gateway.cpu().saturating_sub(before)
    }

    /// One more account of the merchant at the provider.
    pub async fn account(&self) -> Value {
        let mut account = self.world.credentials("account");
        account["name"] = json!(number(self.provider.id));
        self.world.post("/v1/accounts", account).await.ok()
    }

    /// Orders whose payment has been started.
    pub async fn started(&self, account: &Value, count: usize) -> Vec<Value> {
        each(0..count, async |_| {
            let order = self.world.order(1250).await;
            let path = format!("/v1/orders/{}/payments", text(&order, "id"));
            let body = json!({ "account_id": account["id"], "method": self.provider.method });
            self.world.post(&path, body).await.ok()
        })
        .await
    }

    /// Their payers pay. The gateway hears nothing of it.
    pub async fn paid(&self, payments: &[Value]) {
        each(payments, async |payment| self.world.payer_pays(payment).await).await;
    }

    /// A notification of each, as the provider would send it to the account.
    pub async fn drafts(&self, account: &Value, payments: &[Value], kind: &str) -> Vec<Value> {
        each(payments, async |payment| {
            let mut draft = self.world.draft(payment, kind).await;
            draft["url"] = account["notify_url"].clone();
            draft
        })
        .await
    }

    /// They arrive.
    pub async fn deliver(&self, drafts: &[Value]) -> Vec<Reply> {
        each(drafts, async |draft| self.world.deliver(draft).await).await
    }

    /// All of them have been paid, as the gateway knows.
    pub async fn check(&self, payments: &[Value]) {
        for payment in payments {
            let path = format!("/v1/payments/{}", text(payment, "id"));
            let now = self.world.get(&path).await.ok();
            assert_eq!(now["state"], "succeeded", "{now}");
        }
    }
}

async fn each<I, T: Debug>(
    items: impl IntoIterator<Item = I>,
    work: impl AsyncFn(I) -> T,
) -> Vec<T> {
    stream::iter(items).map(|item| work(item)).buffer_unordered(AT_ONCE).collect().await
}
