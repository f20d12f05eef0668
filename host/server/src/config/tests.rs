//! What settings are taken and refused, and by which key.

use secrecy::ExposeSecret;

use super::*;

fn checked(text: &str) -> Result<Config, Vec<ConfigError>> {
    given::read(text).map_err(|error| vec![error]).and_then(Config::check)
}

#[test]
fn nothing_given_is_a_gateway_on_this_machine() {
    let config = checked("").unwrap();
    assert_eq!(config.listen.to_string(), LISTEN);
    assert_eq!(config.public_url, None);
    assert_eq!(config.folders.plugins, PathBuf::from("data/plugins"));
    assert!(
        matches!(config.key, KeySource::File(file) if file.as_path() == std::path::Path::new("data/sealing.key"))
    );
    assert_eq!(config.limits.confirm, Duration::from_millis(3_000));
    assert_eq!(config.limits.body_bytes, 1 << 20);
    assert!(
        !config.simulators
            && !config.bills_at_once
            && !config.private_fields
            && !config.webhooks.allow_private
    );
    assert_eq!(config.webhooks.timeout, Duration::from_secs(15));
    assert_eq!(config.limits.in_flight, 1_024);
    let Rates { per_second, wrong_a_minute } = config.limits.rates;
    assert_eq!((per_second.get(), wrong_a_minute.get()), (1_000, 60));
    assert_eq!(config.limits.answers_kept, Duration::from_secs(86_400));
}

#[test]
fn what_breaks_a_rule_is_refused_by_its_key() {
    let rows = [
        ("listen = 'localhost'", "listen"),
        ("listen = '0.0.0.0:80'", "public_url"),
        ("public_url = 'http://pay.example.com'", "public_url"),
        ("public_url = 'ftp://127.0.0.1'", "public_url"),
        ("public_url = 'https://pay.example.com/gate'", "public_url"),
        ("public_url = 'https://me:secret@pay.example.com'", "public_url"),
        ("public_url = 'pay.example.com'", "public_url"),
        ("data = ''", "data"),
        ("plugins = 'no-such-folder'", "plugins"),
        ("bills_at_once = true", "bills_at_once"),
        ("private_fields = true", "private_fields"),
        ("private_fields = 'yes'", "private_fields"),
        ("[limits]\ncall_ms = 1", "limits.call_ms"),
        ("[limits]\nconfirm_ms = 60000", "limits.confirm_ms"),
        ("[limits]\nbody_bytes = 0", "limits.body_bytes"),
        ("[limits]\nconnections = 1", "limits.connections"),
        ("[limits]\ncall_ms = -1", "limits.call_ms"),
        ("[limits]\ncall_ms = '1s'", "limits.call_ms"),
        ("[limits]\ncalls = 1", "limits.calls"),
        ("[webhooks]\ntimeout_ms = 60000", "webhooks.timeout_ms"),
        ("[webhooks]\nallow_private = 1", "webhooks.allow_private"),
        ("[webhooks]\nallow_all = true", "webhooks.allow_all"),
        ("[limits]\nin_flight = 0", "limits.in_flight"),
        ("[limits]\nper_second = 0", "limits.per_second"),
        ("[limits]\nwrong_keys_a_minute = 0", "limits.wrong_keys_a_minute"),
        ("[limits]\nanswers_kept_h = 23", "limits.answers_kept_h"),
        ("[limits]\nanswers_kept_h = 169", "limits.answers_kept_h"),
        ("[limits]\njobs = 0", "limits.jobs"),
        ("[limits]\njobs = 2\njobs_per_account = 3", "limits.jobs_per_account"),
        ("colour = 'red'", "colour"),
        ("simulators = 'yes'", "simulators"),
        ("[database]\nurl = 'mysql://me:secret@host/gate'", "database.url"),
        ("[database]\nurl = 'postgres://me:secret@host'", "database.url"),
        ("[database]\nurl = 'me:secret@host'", "database.url"),
        ("[database]\nurl = 'postgres://me:secret@host/gate?sslmode=maybe'", "database.url"),
        ("[database]\nurl_file = 'no-such-file'", "database.url_file"),
        ("[database]\nurl = 'postgres://host/gate'\nurl_file = 'a'", "database"),
        ("[database]\npassword = 'secret'", "database.password"),
        ("[key]\nvalue = 'aa'", "key.value"),
        ("[key]\ncommand = []", "key.command"),
        ("[key]\nfile = 'a'\ncommand = ['b']", "key"),
        ("[key.also]\nfile = 'a'\ncommand = ['b']", "key.also"),
        ("[key.also]\ncommand = []", "key.also.command"),
        ("[key.also.also]\nfile = 'a'", "key.also.also"),
        ("[key.also]", "key.also"),
        ("listen", "config"),
    ];
    for (text, key) in rows {
        let errors = checked(text).err().unwrap_or_else(|| panic!("{text} was taken"));
        assert_eq!(errors[0].key, key, "{text}: {}", errors[0]);
        assert!(!errors[0].to_string().contains('\n'), "{text}");
        assert!(!errors[0].to_string().contains("secret"), "{text}");
    }
}

#[test]
fn a_database_is_a_file_unless_an_address_is_given_and_nothing_tells_it() {
    let file = checked("data = 'd'").unwrap().database;
    assert!(matches!(file, Database::File(file) if file == *"d/tollgate.db"));
    let folder = tempfile::tempdir().unwrap();
    let (place, url) = (folder.path().join("url"), "postgres://me:canary@host:5433/gate");
    std::fs::write(&place, format!("{url}\n")).unwrap();
    for text in [format!("url = '{url}'"), format!("url_file = '{}'", place.display())] {
        let config = checked(&format!("[database]\n{text}")).unwrap();
        assert!(!format!("{config:?}").contains("canary"));
        assert!(matches!(config.database, Database::Server(held) if held.expose_secret() == url));
    }
    checked("[database]\nurl = 'postgres:///gate?host=/run/postgresql'").unwrap();
}

#[test]
fn every_broken_rule_is_told_at_once() {
    let errors = checked("listen = 'x'\nbills_at_once = true\n[limits]\ncall_ms = 1").unwrap_err();
    let keys: Vec<_> = errors.iter().map(|error| error.key.as_str()).collect();
    assert_eq!(keys, ["listen", "limits.call_ms", "bills_at_once"]);
}

#[test]
fn an_address_loses_its_slash_and_loopback_may_be_plain() {
    for (text, wanted) in [
        ("https://pay.example.com/", "https://pay.example.com"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        ("http://[::1]:9000/", "http://[::1]:9000"),
        ("http://localhost", "http://localhost"),
    ] {
        let config = checked(&format!("public_url = '{text}'")).unwrap();
        assert_eq!(config.public_url.as_deref(), Some(wanted));
    }
}

#[test]
fn what_stands_above_wins_and_a_key_is_not_shown() {
    let flags = Given {
        listen: Some("127.0.0.1:1".into()),
        key: Some(GivenKey { value: Some("canary".into()), ..GivenKey::default() }),
        ..Given::default()
    };
    let file = given::read("listen = '127.0.0.1:2'\ndata = 'there'").unwrap();
    let config = Config::check(flags.over(file)).unwrap();
    assert_eq!(config.listen.port(), 1);
    assert_eq!(config.folders.data, PathBuf::from("there"));
    assert!(!format!("{config:?}").contains("canary"));
    assert!(matches!(config.key, KeySource::Given(key) if key.expose_secret() == "canary"));
    assert!(config.also.is_none());
}

#[test]
fn a_key_from_the_environment_stands_beside_the_one_of_the_file() {
    let also = GivenKey { value: Some("canary".into()), ..GivenKey::default() };
    let environment = Given {
        key: Some(GivenKey { also: Some(Box::new(also)), ..GivenKey::default() }),
        ..Given::default()
    };
    let file = given::read("[key]\nfile = 'there'").unwrap();
    let config = Config::check(environment.over(file)).unwrap();
    assert!(matches!(config.key, KeySource::File(file) if file.ends_with("there")));
    assert!(matches!(config.also, Some(KeySource::Given(_))));
}
