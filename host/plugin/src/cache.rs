//! Compiled components, kept so that a start takes milliseconds.
//!
//! Loading compiled code runs it, so the cache trusts nothing but what this gateway wrote: a folder of mode 0700, names
//! made from the component's hash, the engine's own hash and a salt, files written once by rename, and a MAC in
//! front of each whose key lies in the folder. What does not check is compiled again. Compiling takes place in a child
//! process, because a hostile component may make the compiler slow or hungry.

use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aws_lc_rs::{digest, hmac, rand};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::engine::{CODE_VERSION, on_demand_engine};

/// Length of the MAC in front of the code.
const TAG: usize = 32;
/// How long a compiler may take, in all and on a processor.
const COMPILE_TIME: Duration = Duration::from_secs(120);
/// Address space of a compiler, in KiB.
const COMPILE_SPACE_KIB: u64 = 2 << 20;

/// What went wrong on the way to compiled code.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The folder or a file in it cannot be used.
    #[error("the plugin cache {path}: {source}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The component does not compile, or took too long.
    #[error("does not compile: {0}")]
    Compile(String),
}

fn folder_error(path: &Path) -> impl FnOnce(std::io::Error) -> CacheError + '_ {
    move |source| CacheError::Folder { path: path.to_owned(), source }
}

/// A folder of compiled components.
pub(crate) struct Cache {
    folder: PathBuf,
    mac: hmac::Key,
    compiler: Option<PathBuf>,
}

impl Cache {
    /// Opens the folder, making it and its key if need be.
    pub fn open(folder: &Path, compiler: Option<PathBuf>) -> Result<Self, CacheError> {
        fs::create_dir_all(folder).map_err(folder_error(folder))?;
        keep_private(folder, 0o700).map_err(folder_error(folder))?;
        let path = folder.join("key");
        let key = match read_key(folder, &path) {
            Some(key) => key,
            None => make_key(folder, &path).map_err(folder_error(&path))?,
        };
        Ok(Self {
            folder: folder.to_owned(),
            mac: hmac::Key::new(hmac::HMAC_SHA256, &key),
            compiler,
        })
    }

    /// The compiled component, from the folder or fresh.
    pub fn component(&self, engine: &Engine, wasm: &[u8]) -> Result<Component, CacheError> {
        let path = self.folder.join(format!("{}.cwasm", name(engine, wasm)));
        if let Some(component) = self.kept(engine, &path) {
            return Ok(component);
        }
        let code = match &self.compiler {
            Some(compiler) => self.compile_apart(compiler, wasm)?,
            None => compile(wasm)?,
        };
        self.keep(&path, &code).map_err(folder_error(&path))?;
        load(engine, &code).map_err(|error| CacheError::Compile(format!("{error:#}")))
    }

    fn kept(&self, engine: &Engine, path: &Path) -> Option<Component> {
        let file = fs::read(path).ok()?;
        let (tag, code) = file.split_at_checked(TAG)?;
        hmac::verify(&self.mac, &named(path, code), tag).ok()?;
        load(engine, code).ok()
    }

    /// Writes beside, then renames: no reader ever sees half a file.
    fn keep(&self, path: &Path, code: &[u8]) -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(hmac::sign(&self.mac, &named(path, code)).as_ref())?;
        file.write_all(code)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }

    /// Runs `COMPILER compile-plugin IN OUT` with limits on time, space and threads, nothing of our environment and no input.
    fn compile_apart(&self, compiler: &Path, wasm: &[u8]) -> Result<Vec<u8>, CacheError> {
        let fail = folder_error(&self.folder);
        let room = tempfile::tempdir_in(&self.folder).map_err(fail)?;
        let (input, output) = (room.path().join("in.wasm"), room.path().join("out"));
        let errors = room.path().join("errors");
        fs::write(&input, wasm).map_err(folder_error(&input))?;
        let stderr = File::create(&errors).map_err(folder_error(&errors))?;
        // A shell sets the limits: doing it between fork and exec would need unsafe code.
        let script = format!(
            "ulimit -t {}; ulimit -v {COMPILE_SPACE_KIB}; exec \"$0\" compile-plugin \"$1\" \"$2\"",
            COMPILE_TIME.as_secs()
        );
        let mut child = Command::new("/bin/sh")
            .arg("-c")
            .arg(script)
            .arg(compiler)
            .arg(&input)
            .arg(&output)
            .env_clear()
            // Each thread takes address space of its own.
            .envs([("RAYON_NUM_THREADS", "2"), ("MALLOC_ARENA_MAX", "2")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .map_err(folder_error(compiler))?;
        let status = wait(&mut child, COMPILE_TIME).map_err(folder_error(compiler))?;
        if status != Some(true) {
            let reason = match status {
                None => format!("took longer than {} s", COMPILE_TIME.as_secs()),
                Some(_) => first_line(&errors),
            };
            return Err(CacheError::Compile(reason));
        }
        fs::read(&output).map_err(folder_error(&output))
    }
}

/// What the MAC covers: the code under its name, so that one component's code is not taken for another's.
fn named(path: &Path, code: &[u8]) -> Vec<u8> {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    [name, b"\0", code].concat()
}

/// Whether the child succeeded; none when its time was up and it was killed.
fn wait(child: &mut std::process::Child, limit: Duration) -> std::io::Result<Option<bool>> {
    let end = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status.success()));
        }
        if Instant::now() >= end {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn first_line(path: &Path) -> String {
    let mut bytes = Vec::new();
    if let Ok(file) = File::open(path) {
        // What cannot be read is told as no reason.
        let _ = file.take(1000).read_to_end(&mut bytes);
    }
    let text = String::from_utf8_lossy(&bytes);
    let line = text.lines().find(|line| !line.trim().is_empty());
    line.unwrap_or("the compiler ended without a word").to_owned()
}

/// What the compiler process does: reads a component and writes its code. For the executable that
/// `RegistryConfig::compiler` names, when it is started as `EXE compile-plugin IN OUT`.
///
/// # Errors
/// A file that cannot be read or written, and a component that does not compile.
pub fn compile_child_main(wasm: &Path, out: &Path) -> Result<(), CacheError> {
    let bytes = fs::read(wasm).map_err(folder_error(wasm))?;
    let code = compile(&bytes)?;
    fs::write(out, code).map_err(folder_error(out))
}

fn compile(wasm: &[u8]) -> Result<Vec<u8>, CacheError> {
    let fail = |error: wasmtime::Error| CacheError::Compile(format!("{error:#}"));
    on_demand_engine().map_err(fail)?.precompile_component(wasm).map_err(fail)
}

#[allow(unsafe_code)]
fn load(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `deserialize` must be given what `precompile_component` made. The bytes come straight from this gateway's
    // compiler, or from a file whose MAC was checked with a key that only this gateway's account can read.
    unsafe { Component::deserialize(engine, code) }
}

fn keep_private(path: &Path, mode: u32) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// The key, if it is a file of ours that no one else can read.
fn read_key(folder: &Path, path: &Path) -> Option<Vec<u8>> {
    use std::os::unix::fs::MetadataExt;
    let us = tempfile::tempfile_in(folder).ok()?.metadata().ok()?.uid();
    let found = fs::symlink_metadata(path).ok()?;
    let private = found.is_file() && found.uid() == us && found.mode() & 0o777 == 0o600;
    if !private {
        return None;
    }
    fs::read(path).ok().filter(|key| key.len() == TAG)
}

fn make_key(folder: &Path, path: &Path) -> std::io::Result<Vec<u8>> {
    let mut key = vec![0; TAG];
    rand::fill(&mut key).map_err(|_| std::io::Error::other("no random bytes"))?;
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(&key)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    // Another process may have been quicker; whoever renamed last is right for both.
    read_key(folder, path).ok_or_else(|| std::io::Error::other("the key vanished"))
}

/// The file name of a component's code: everything that the code depends on, hashed.
fn name(engine: &Engine, wasm: &[u8]) -> String {
    struct Sha(digest::Context);
    impl Hasher for Sha {
        fn finish(&self) -> u64 {
            0
        }
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
    }
    let mut sha = Sha(digest::Context::new(&digest::SHA256));
    sha.write(digest::digest(&digest::SHA256, wasm).as_ref());
    engine.precompile_compatibility_hash().hash(&mut sha);
    sha.write(CODE_VERSION.as_bytes());
    hex::encode(sha.0.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest component there is: its header.
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    fn files(folder: &Path) -> Vec<PathBuf> {
        let all = fs::read_dir(folder).unwrap();
        all.map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|e| e == "cwasm"))
            .collect()
    }

    #[test]
    fn code_is_kept_once_and_checked() {
        let folder = tempfile::tempdir().unwrap();
        let engine = on_demand_engine().unwrap();
        let cache = Cache::open(folder.path(), None).unwrap();
        cache.component(&engine, EMPTY).unwrap();
        let kept = files(folder.path());
        assert_eq!(kept.len(), 1);
        assert!(cache.kept(&engine, &kept[0]).is_some());

        // Another gateway opens the same folder with the same key.
        let again = Cache::open(folder.path(), None).unwrap();
        assert!(again.kept(&engine, &kept[0]).is_some());

        let mut bytes = fs::read(&kept[0]).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(&kept[0], &bytes).unwrap();
        assert!(cache.kept(&engine, &kept[0]).is_none());
        cache.component(&engine, EMPTY).unwrap();
        assert!(cache.kept(&engine, &kept[0]).is_some());
    }

    #[test]
    fn code_of_a_stranger_is_not_loaded() {
        let (own, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let engine = on_demand_engine().unwrap();
        let stranger = Cache::open(other.path(), None).unwrap();
        stranger.component(&engine, EMPTY).unwrap();
        let cache = Cache::open(own.path(), None).unwrap();
        assert!(cache.kept(&engine, &files(other.path())[0]).is_none());
    }

    #[test]
    fn the_folder_is_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache");
        Cache::open(&path, None).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&path.join("key")), 0o600);
    }

    #[test]
    fn a_key_that_others_could_read_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let key = || {
            Cache::open(folder.path(), None).unwrap();
            fs::read(&path).unwrap()
        };
        let first = key();
        assert_eq!(key(), first);
        keep_private(&path, 0o644).unwrap();
        let second = key();
        assert_ne!(second, first);
        // A link to a key elsewhere is none of ours either.
        let elsewhere = folder.path().join("elsewhere");
        fs::rename(&path, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        assert_ne!(key(), second);
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
    }

    #[test]
    fn a_compiler_that_fails_tells_why() {
        let folder = tempfile::tempdir().unwrap();
        let engine = on_demand_engine().unwrap();
        let cache = Cache::open(folder.path(), Some("/bin/false".into())).unwrap();
        let error = cache.component(&engine, EMPTY).err().unwrap();
        assert!(matches!(error, CacheError::Compile(_)), "{error}");
        let none = Cache::open(folder.path(), None).unwrap();
        assert!(none.component(&engine, b"\0asm\x0d\0\x01\0\xff").is_err());
        assert_eq!(files(folder.path()).len(), 0);
    }

    #[test]
    fn the_engines_version_is_the_one_that_is_built() {
        let lock = include_str!("../../../Cargo.lock");
        let (_, version) = CODE_VERSION.rsplit_once('-').unwrap();
        assert!(lock.contains(&format!("name = \"wasmtime\"\nversion = \"{version}\"")));
    }
}
