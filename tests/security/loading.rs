//! What is loaded: components that import our own interfaces alone, and compiled code that this gateway wrote itself.

use std::fs;
use std::path::{Path, PathBuf};

use tollgate_plugin::{Limits, Registry, RegistryConfig};
use tollgate_tests::reply::text;
use tollgate_tests::{Setup, World, place};

use crate::stage;

#[tokio::test]
async fn each_providers_component_imports_our_own_interfaces_alone() {
    let world = World::start().await;
    let listed = world.get("/v1/plugins").await.ok();
    assert_eq!(listed["refused"].as_array().unwrap().len(), 0, "{listed}");
    let registry = open(&place::plugins(), &place::shared("compiled"));
    let shown = listed["data"].as_array().unwrap();
    let mut ids: Vec<&str> = shown.iter().map(|plugin| text(plugin, "id")).collect();
    ids.sort_unstable();
    // All that are shipped, so that none is missing here.
    assert_eq!(ids, ["alipay", "paypal", "stripe", "unionpay", "wechatpay"]);
    for shown in shown {
        let plugin = registry.get(text(shown, "id")).unwrap();
        let imports: Vec<String> = serde_json::from_value(shown["imports"].clone()).unwrap();
        assert_eq!(imports, plugin.imports());
        assert_eq!(shown["digest"], plugin.digest());
        assert!(!imports.is_empty());
        for import in &imports {
            assert!(import.starts_with("tollgate:provider/"), "{}: {import}", shown["id"]);
        }
    }
}

#[tokio::test]
async fn what_asks_for_sockets_or_files_is_refused_in_one_line() {
    let folder = stage::folder(&["alipay"]);
    let files = [
        ("a.wasm", "wasi:sockets/tcp@0.2.0"),
        ("b.wasm", "wasi:filesystem/types@0.2.0"),
        ("c.wasm", "wasi:http/outgoing-handler@0.2.0"),
        ("d.wasm", "wasi:cli/terminal-stdin@0.2.0"),
        ("e.wasm", "somebody:else/thing@1.0.0"),
    ];
    for (file, import) in files {
        let text = format!("(component (import \"{import}\" (instance)))");
        fs::write(folder.path().join(file), wat::parse_str(text).unwrap()).unwrap();
    }
    fs::write(folder.path().join("f.wasm"), b"not a component").unwrap();
    let setup = Setup { plugins: Some(folder.path().to_owned()), ..Setup::default() };
    let world = World::with(setup).await;
    let listed = world.get("/v1/plugins").await.ok();
    let refused = listed["refused"].as_array().unwrap();
    assert_eq!(refused.len(), files.len() + 1, "{listed}");
    for ((file, import), refused) in files.iter().zip(refused) {
        let name = import.split('@').next().unwrap();
        assert_eq!(refused["file"], *file);
        assert_eq!(refused["reason"], format!("imports {name}, which no plugin may use"));
    }
    let reason = refused[files.len()]["reason"].as_str().unwrap();
    assert!(!reason.is_empty() && !reason.contains('\n'), "{reason}");
    assert_eq!(
        listed["data"].as_array().unwrap().len(),
        1,
        "the neighbour is not loaded: {listed}"
    );
}

fn open(plugins: &Path, cache: &Path) -> Registry {
    Registry::open(RegistryConfig {
        folder: plugins.to_owned(),
        cache: cache.to_owned(),
        limits: Limits::default(),
        compiler: None,
        concurrency: 2,
    })
    .unwrap()
}

fn artifacts(cache: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(cache).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|it| it == "cwasm")).collect();
    files.sort();
    files
}

#[test]
fn compiled_code_that_was_touched_is_never_loaded() {
    let (plugins, cache) = (stage::folder(&["trap"]), tempfile::tempdir().unwrap());
    drop(open(plugins.path(), cache.path()));
    let [kept] = &artifacts(cache.path())[..] else { panic!("one artifact was expected") };
    let sound = fs::read(kept).unwrap();
    // In the code, in the MAC in front of it, at the end, and cut short.
    let mut touched = Vec::new();
    for at in [0, 31, 32, sound.len() / 2, sound.len() - 1] {
        let mut bytes = sound.clone();
        bytes[at] ^= 0x40;
        touched.push(bytes);
    }
    touched.push(sound[..sound.len() / 2].to_vec());
    touched.push(Vec::new());
    for bytes in touched {
        fs::write(kept, &bytes).unwrap();
        let registry = open(plugins.path(), cache.path());
        assert!(registry.get("trap").is_some(), "{:?}", registry.refused());
        let now = fs::read(kept).unwrap();
        assert!(now != bytes && now.len() == sound.len(), "the touched code was taken as it was");
    }
}

#[test]
fn one_components_code_is_not_taken_for_anothers() {
    let (first, second) = (stage::folder(&["trap"]), stage::folder(&["trap", "loop"]));
    let cache = tempfile::tempdir().unwrap();
    drop(open(first.path(), cache.path()));
    let trap = artifacts(cache.path()).remove(0);
    drop(open(second.path(), cache.path()));
    let other = artifacts(cache.path()).into_iter().find(|path| *path != trap).unwrap();
    // Sound code of this gateway's own, under the name of another component.
    fs::copy(&other, &trap).unwrap();
    let swapped = fs::read(&trap).unwrap();
    let registry = open(first.path(), cache.path());
    assert_eq!(registry.get("trap").unwrap().manifest().id, "trap");
    assert!(fs::read(&trap).unwrap() != swapped, "another component's code was taken");
}
