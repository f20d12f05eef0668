//! What only a server allows: several gateways on one database, one of them killed, and the database itself going away
//! and coming back under load.

use std::time::Duration;

use futures::future::{join, join_all};
use tollgate_tests::database::Storage;
use tollgate_tests::postgres::Server;

use crate::load::{Rush, Told, kept, shop};
use crate::program::{Replica, Scene};

/// Shops at each gateway.
const SHOPS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_gateways_one_is_killed_in_the_middle_of_everything() {
    killed_among(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_three_gateways_one_is_killed_in_the_middle_of_everything() {
    killed_among(2).await;
}

/// The scene's own gateway goes on beside `others`, of which the first is killed and nobody starts it again.
async fn killed_among(others: usize) {
    let scene = Scene::start().await;
    let world = &scene.world;
    let mut replicas = Vec::new();
    for _ in 0..others {
        replicas.push(Replica::start(world).await);
    }
    let urls: Vec<String> =
        replicas.iter().map(|replica| replica.url.clone()).chain([world.url.clone()]).collect();
    let rush = Rush::default();
    let shops = urls.iter().flat_map(|url| (0..SHOPS).map(|_| shop(world, url, &rush)));
    let killing = async {
        rush.goes_on(Duration::from_secs(2), SHOPS).await;
        replicas[0].kill().await;
        rush.goes_on(Duration::from_secs(1), SHOPS).await;
        rush.ends();
    };
    let (told, ()): (Vec<Told>, ()) = join(join_all(shops), killing).await;
    kept(world, &told).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_crashes_under_load_costs_nobody_anything() {
    let server = Server::start(&[]);
    server.run("CREATE DATABASE gate TEMPLATE template0").await;
    let scene = Scene::on(Storage::Own(server.url("gate"))).await;
    let world = &scene.world;
    let rush = Rush::default();
    let shops = (0..2 * SHOPS).map(|_| shop(world, &world.url, &rush));
    let crashing = async {
        for _ in 0..2 {
            rush.goes_on(Duration::from_millis(1_500), SHOPS).await;
            server.crash();
            server.go_on();
        }
        rush.goes_on(Duration::from_millis(1_500), SHOPS).await;
        rush.ends();
    };
    let (told, ()): (Vec<Told>, ()) = join(join_all(shops), crashing).await;
    kept(world, &told).await;
}
