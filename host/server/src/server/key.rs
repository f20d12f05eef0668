//! The key that seals secrets, from wherever the configuration says.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use crate::chance::Chance;
use crate::config::KeySource;
use crate::sealing::Sealer;
use crate::store::accounts::AccountRow;

/// Reads the key, or makes one where nothing is `sealed` yet, and the one beside it. Keys that do not open what is there
/// are refused. What they are is in no error.
pub fn sealer(
    source: &KeySource,
    also: Option<&KeySource>,
    sealed: &[AccountRow],
    chance: &Chance,
) -> Result<Sealer> {
    for (file, needed) in [(Some(source), !sealed.is_empty()), (also, true)] {
        if let Some(KeySource::File(file)) = file
            && needed
            && !file.exists()
        {
            bail!(
                "sealing key: {} is missing, and the database holds accounts sealed with it",
                file.display()
            );
        }
    }
    let mut sealer = read(source, chance)?;
    if let Some(also) = also {
        sealer = sealer.and(read(also, chance)?);
    }
    for row in sealed {
        let opened = sealer.open(&row.id.to_string(), &row.secrets);
        opened.context(
            "sealing key: it is not the one that the database's accounts were sealed with",
        )?;
    }
    Ok(sealer)
}

fn read(source: &KeySource, chance: &Chance) -> Result<Sealer> {
    match source {
        KeySource::File(file) => Ok(Sealer::from_file(file, chance)?),
        KeySource::Given(digits) => from_digits("TOLLGATE_SEALING_KEY", digits.expose_secret()),
        KeySource::Command(command) => {
            let [program, arguments @ ..] = command.as_slice() else {
                bail!("key.command: must name a program");
            };
            let output = Command::new(program)
                .args(arguments)
                .stdin(Stdio::null())
                .stderr(Stdio::inherit())
                .output()
                .with_context(|| format!("key.command: {program}"))?;
            let printed = Zeroizing::new(output.stdout);
            if !output.status.success() {
                bail!("key.command: {program} ended with {}", output.status);
            }
            let digits = str::from_utf8(&printed).unwrap_or_default();
            from_digits("key.command", digits)
        }
    }
}

fn from_digits(place: &str, digits: &str) -> Result<Sealer> {
    let key = hex::decode(digits.trim()).map(Zeroizing::new);
    let key = key.ok().with_context(|| format!("{place}: must be 64 hex digits"))?;
    Sealer::new(&key).with_context(|| place.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(source: KeySource) -> Result<Sealer> {
        sealer(&source, None, &[], &Chance::seeded(1))
    }

    #[test]
    fn a_key_comes_from_where_it_is_said_to_be() {
        let digits = "ab".repeat(32);
        let echo = KeySource::Command(vec!["echo".into(), digits.clone()]);
        let sealed = opened(KeySource::Given(digits.into())).unwrap();
        let sealed = sealed.seal("acc_1", b"secret", &Chance::seeded(2)).unwrap();
        assert_eq!(opened(echo).unwrap().open("acc_1", &sealed).unwrap().as_slice(), b"secret");
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_repeated() {
        let canary = "canary".to_owned();
        for source in [
            KeySource::Given(canary.clone().into()),
            KeySource::Given("abcd".into()),
            KeySource::Command(vec!["echo".into(), canary]),
            KeySource::Command(vec!["false".into()]),
            KeySource::Command(vec!["no-such-program-here".into()]),
        ] {
            let error = format!("{:#}", opened(source).err().unwrap());
            assert!(!error.contains("canary"), "{error}");
        }
    }
}
