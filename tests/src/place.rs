//! Where things are that tests share: plugins as they were built, and what is dear to make twice.

use std::path::PathBuf;

use tollgate_plugin::{Limits, Registry, RegistryConfig};

/// The build's folder, found by the running program: `TARGET/PROFILE/deps/NAME` for a test, `TARGET/PROFILE/NAME` for a
/// measuring program.
pub fn target() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let folder = program.parent().unwrap();
    let profile = if folder.ends_with("deps") { folder.parent().unwrap() } else { folder };
    profile.parent().unwrap().to_owned()
}

/// The providers' plugins as components.
///
/// # Panics
/// If nobody has built them.
pub fn plugins() -> PathBuf {
    built("TOLLGATE_PLUGINS", "plugins")
}

/// The providers' plugins, loaded.
///
/// # Panics
/// If nobody has built them.
pub fn registry() -> Registry {
    Registry::open(RegistryConfig {
        folder: plugins(),
        cache: shared("compiled"),
        limits: Limits::default(),
        compiler: None,
        concurrency: 2,
    })
    .unwrap()
}

/// Components that misbehave on purpose.
///
/// # Panics
/// If nobody has built them.
pub fn test_plugins() -> PathBuf {
    built("TOLLGATE_TEST_PLUGINS", "test-plugins")
}

fn built(variable: &str, folder: &str) -> PathBuf {
    let folder = std::env::var_os(variable).map_or_else(|| target().join(folder), PathBuf::from);
    assert!(folder.is_dir(), "{} is no folder: cargo xtask plugins makes it", folder.display());
    folder
}

/// What outlives a test, because it is the same for all and takes its time: compiled components, the simulator's keys.
pub fn shared(name: &str) -> PathBuf {
    target().join("tmp").join("tollgate-tests").join(name)
}
