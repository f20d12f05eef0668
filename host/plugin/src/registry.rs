//! The folder of plugins: what is loaded, what was refused and why, and swapping versions while calls are in flight.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use wasmtime::component::Component;

use crate::cache::{Cache, CacheError};
use crate::call::{Core, Desk};
use crate::contract::ProviderPluginPre;
use crate::imports::checked_imports;
use crate::keys::crypto::gather_chance;
use crate::keys::sha256_hex;
use crate::limits::Limits;
use crate::manifest;
use crate::plugin::Plugin;
use crate::witness::Witness;

/// Where plugins are and what they may use.
#[derive(Debug, Clone)]
pub struct RegistryConfig {
    /// The folder of `*.wasm` files.
    pub folder: PathBuf,
    /// The folder of compiled code. It is made, and made private.
    pub cache: PathBuf,
    /// The budgets of a call.
    pub limits: Limits,
    /// The executable that compiles, started as `EXE compile-plugin IN OUT`; none compiles in this process.
    pub compiler: Option<PathBuf>,
    /// Calls of requests and notices at once, over all plugins; at least two.
    pub concurrency: usize,
}

/// A file that is not loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedFile {
    /// Its name in the folder.
    pub file: String,
    /// Why, in one line.
    pub reason: String,
}

/// Why there is no registry at all.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The folder cannot be read.
    #[error("the plugin folder {folder}: {source}")]
    Folder {
        /// Which.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The cache cannot be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The engine does not start on this machine.
    #[error("the plugin engine does not start: {0}")]
    Engine(String),
}

/// What a reload changed, by plugin id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// New, or of another digest than before.
    pub loaded: Vec<String>,
    /// As before.
    pub unchanged: Vec<String>,
    /// Their file is gone.
    pub removed: Vec<String>,
    /// Files that were refused. A version that ran before goes on running.
    pub refused: Vec<RefusedFile>,
}

#[derive(Default)]
struct Snapshot {
    plugins: BTreeMap<String, Arc<Plugin>>,
    refused: Vec<RefusedFile>,
}

/// The loaded plugins. Looking one up takes no lock.
pub struct Registry {
    folder: PathBuf,
    desk: Arc<Desk>,
    cache: Option<Cache>,
    current: ArcSwap<Snapshot>,
    reloading: Mutex<()>,
}

impl Registry {
    /// Starts the engine and loads the folder. It reads and compiles, so it takes its time on a thread that may block.
    ///
    /// # Errors
    /// When the engine, the cache or the folder cannot be used. A plugin that is refused is no error.
    pub fn open(config: RegistryConfig) -> Result<Registry, RegistryError> {
        let cache = Cache::open(&config.cache, config.compiler.clone())?;
        Self::open_with(config, Some(cache), None)
    }

    /// The same for a witness, who sees the memory of each instance when it ends. Nothing of the cache is used, since the
    /// code of such an engine is its own.
    ///
    /// # Errors
    /// As [`Registry::open`].
    pub fn open_watched(
        config: RegistryConfig,
        witness: &Witness,
    ) -> Result<Registry, RegistryError> {
        Self::open_with(config, None, Some(witness))
    }

    fn open_with(
        config: RegistryConfig,
        cache: Option<Cache>,
        witness: Option<&Witness>,
    ) -> Result<Registry, RegistryError> {
        gather_chance();
        let desk = Desk::new(config.limits, config.concurrency, witness)
            .map_err(|error| RegistryError::Engine(format!("{error:#}")))?;
        let registry = Registry {
            folder: config.folder,
            desk: Arc::new(desk),
            cache,
            current: ArcSwap::default(),
            reloading: Mutex::new(()),
        };
        registry.reload()?;
        Ok(registry)
    }

    /// The plugin of that id.
    pub fn get(&self, id: &str) -> Option<Arc<Plugin>> {
        self.current.load().plugins.get(id).cloned()
    }

    /// All plugins, by id.
    pub fn plugins(&self) -> Vec<Arc<Plugin>> {
        self.current.load().plugins.values().cloned().collect()
    }

    /// The files that were refused.
    pub fn refused(&self) -> Vec<RefusedFile> {
        self.current.load().refused.clone()
    }

    /// Reads the folder again and swaps what changed. Calls in flight end on the version that they began with.
    ///
    /// # Errors
    /// When the folder cannot be read; nothing is swapped then.
    pub fn reload(&self) -> Result<Reloaded, RegistryError> {
        let _one_at_a_time = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let files = wasm_files(&self.folder)
            .map_err(|source| RegistryError::Folder { folder: self.folder.clone(), source })?;
        let before = self.current.load_full();
        let mut after = Snapshot::default();
        let mut told = Reloaded::default();
        for path in files {
            let file = file_name(&path);
            match self.load(&path, &file, &before) {
                Ok(plugin) => self.take(plugin, &before, &mut after, &mut told),
                Err(reason) => after.refused.push(RefusedFile { file, reason }),
            }
        }
        keep_running(&before, &mut after, &mut told);
        told.removed =
            before.plugins.keys().filter(|id| !after.plugins.contains_key(*id)).cloned().collect();
        told.refused.clone_from(&after.refused);
        self.current.store(Arc::new(after));
        Ok(told)
    }

    fn take(
        &self,
        plugin: Arc<Plugin>,
        before: &Snapshot,
        after: &mut Snapshot,
        told: &mut Reloaded,
    ) {
        let id = plugin.manifest.id.clone();
        let same = before.plugins.get(&id).is_some_and(|p| p.digest == plugin.digest);
        if same {
            told.unchanged.push(id.clone());
        } else {
            told.loaded.push(id.clone());
        }
        after.plugins.insert(id, plugin);
    }

    fn load(&self, path: &Path, file: &str, before: &Snapshot) -> Result<Arc<Plugin>, String> {
        let wasm = read_within(path, self.desk.limits.component_bytes)?;
        let digest = sha256_hex(&wasm);
        let known =
            before.plugins.values().find(|plugin| plugin.digest == digest && plugin.file == file);
        if let Some(plugin) = known {
            return Ok(Arc::clone(plugin));
        }
        let engine = &self.desk.clockwork.engine;
        let component = match &self.cache {
            Some(cache) => {
                cache.component(engine, &wasm).map_err(|error| one_line(&error.to_string()))
            }
            None => Component::new(engine, &wasm).map_err(|error| one_line(&format!("{error:#}"))),
        }?;
        let imports = checked_imports(engine, &component)?;
        let pre = self
            .desk
            .linker
            .instantiate_pre(&component)
            .and_then(ProviderPluginPre::new)
            .map_err(|error| one_line(&format!("does not fit the contract: {error:#}")))?;
        let core = Core::new(Arc::clone(&self.desk), pre)
            .map_err(|error| one_line(&format!("does not fit the contract: {error:#}")))?;
        let core = Arc::new(core);
        let manifest = core
            .describe()
            .map_err(|error| one_line(&format!("does not describe itself: {error}")))?;
        manifest::check(&manifest).map_err(|problems| one_line(&problems.join("; ")))?;
        // So no two files are one plugin, and none takes the place of another's accounts.
        if file.strip_suffix(".wasm") != Some(manifest.id.as_str()) {
            return Err(format!("is the plugin {0}, whose file is {0}.wasm", manifest.id));
        }
        Ok(Arc::new(Plugin { core, manifest, digest, imports, file: file.to_owned() }))
    }
}

/// A new version that was refused does not take the running one down: its file is still there.
fn keep_running(before: &Snapshot, after: &mut Snapshot, told: &mut Reloaded) {
    for (id, plugin) in &before.plugins {
        let refused = after.refused.iter().any(|r| r.file == plugin.file);
        if refused && !after.plugins.contains_key(id) {
            after.plugins.insert(id.clone(), Arc::clone(plugin));
            told.unchanged.push(id.clone());
        }
    }
}

fn wasm_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)?
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .map(|entry| entry.path())
        .filter(|path| path.is_file() && path.extension().is_some_and(|e| e == "wasm"))
        .collect();
    files.sort();
    Ok(files)
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

fn read_within(path: &Path, most: u64) -> Result<Vec<u8>, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    let mut wasm = Vec::new();
    File::open(path)
        .map_err(unreadable)?
        .take(most + 1)
        .read_to_end(&mut wasm)
        .map_err(unreadable)?;
    if wasm.len() as u64 > most {
        return Err(format!("is larger than {most} bytes"));
    }
    Ok(wasm)
}

fn one_line(text: &str) -> String {
    let line: Vec<&str> = text.split_whitespace().collect();
    line.join(" ").chars().take(1000).collect()
}
