//! A second gateway on one SQLite file: it is told so and starts nothing, and commands beside the first one work.

use std::process::{Command, Output};

use tollgate_tests::database::Storage;

use crate::program::{Scene, binary, serving};

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_has_one_gateway_at_a_time() {
    let mut scene = Scene::on(Storage::File).await;
    let data = scene.world.data();
    let second = serving(&scene.world, &data, "127.0.0.1:0").output().unwrap();
    assert_eq!((second.status.code(), &*second.stdout), (Some(1), b"" as &[u8]));
    let lines = told(&second);
    let line = lines.trim_end();
    assert!(line.starts_with("tollgate: data: ") && !line.contains('\n'), "{lines}");
    assert!(line.contains("another gateway runs here"), "{lines}");

    let mut beside = Command::new(binary());
    let beside = beside.args(["merchant", "list", "--json", "--data"]).arg(&data).output().unwrap();
    assert!(beside.status.success(), "{}", told(&beside));
    scene.world.order(1250).await;

    // What a process held is free when it is dead, however it died.
    scene.program.kill().await;
    scene.program.relaunch(&scene.world).await;
    scene.world.order(1250).await;
}
