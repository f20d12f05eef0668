//! What a component may import and must export, by name, so that a refusal says so in one clear line.

use wasmtime::Engine;
use wasmtime::component::Component;

use crate::contract::PACKAGE;
use crate::deny_wasi;

/// The interfaces of the contract, and the version that this host speaks.
const OURS: [&str; 4] = ["types", "signing", "logging", "bill-io"];
const EXPORTS: [&str; 4] = ["provider", "requests", "notices", "bills"];
const MAJOR: &str = "1.";
const WASI: &str = "0.2.";

/// The names that a component imports, if each of them is allowed.
pub(crate) fn checked_imports(
    engine: &Engine,
    component: &Component,
) -> Result<Vec<String>, String> {
    let kind = component.component_type();
    let mut names = Vec::new();
    for (name, _) in kind.imports(engine) {
        check_import(name)?;
        names.push(name.to_owned());
    }
    for wanted in EXPORTS {
        let exported = kind.exports(engine).any(|(name, _)| {
            let (name, version) = split_version(name);
            name.strip_prefix(PACKAGE) == Some(wanted) && version.starts_with(MAJOR)
        });
        if !exported {
            return Err(format!("does not export {PACKAGE}{wanted} of a version {MAJOR}x"));
        }
    }
    Ok(names)
}

fn split_version(name: &str) -> (&str, &str) {
    name.split_once('@').unwrap_or((name, ""))
}

fn check_import(full: &str) -> Result<(), String> {
    let (name, version) = split_version(full);
    if let Some(interface) = name.strip_prefix(PACKAGE)
        && OURS.contains(&interface)
    {
        return if version.starts_with(MAJOR) {
            Ok(())
        } else {
            Err(format!("imports {full}, and this gateway speaks version {MAJOR}x"))
        };
    }
    if deny_wasi::INTERFACES.contains(&name) {
        return if version.starts_with(WASI) {
            Ok(())
        } else {
            Err(format!("imports {full}, and this gateway speaks version {WASI}x"))
        };
    }
    Err(format!("imports {name}, which no plugin may use"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_names_pass() {
        let allowed = [
            "tollgate:provider/types@1.0.0",
            "tollgate:provider/signing@1.2.0",
            "wasi:io/poll@0.2.6",
            "wasi:cli/stderr@0.2.0",
        ];
        for name in allowed {
            assert_eq!(check_import(name), Ok(()), "{name}");
        }
        let refused = [
            "wasi:sockets/tcp@0.2.6",
            "wasi:filesystem/types@0.2.6",
            "wasi:http/outgoing-handler@0.2.6",
            "wasi:cli/terminal-input@0.2.6",
            "wasi:io/poll@0.3.0",
            "tollgate:provider/signing@2.0.0",
            "tollgate:provider/requests@1.0.0",
            "tollgate:provider-evil/types@1.0.0",
            "env",
        ];
        for name in refused {
            assert!(check_import(name).is_err(), "{name}");
        }
        assert_eq!(
            check_import("wasi:sockets/tcp@0.2.6").unwrap_err(),
            "imports wasi:sockets/tcp, which no plugin may use"
        );
    }
}
