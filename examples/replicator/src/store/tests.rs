//! Versions, locks and what the files of mappings may not be.

use super::*;
use replicator_domain::env::translate;

/// A store that keeps so many versions, in a folder of its own.
fn store(name: &str, keep: u32) -> (PathBuf, Store) {
    let folder = std::env::temp_dir().join(format!("store-{}-{name}", std::process::id()));
    let vars = BTreeMap::from([
        ("FILE_DATA_PATH".to_owned(), folder.display().to_string()),
        ("KEEP_VERSIONS".to_owned(), keep.to_string()),
    ]);
    (folder, Store::new(&translate(&vars).unwrap().0))
}

async fn save(store: &Store, which: Which, text: Option<&str>, comment: &str, now: i64) {
    let saving = store.saving().await.unwrap();
    store.save(&saving, which, text, comment, now).unwrap();
}

fn comments(versions: &[Version]) -> Vec<&str> {
    versions.iter().map(|one| one.comment.as_str()).collect()
}

#[tokio::test]
async fn the_oldest_versions_go_and_pages_follow_each_other() {
    let (folder, store) = store("pages", 3);
    assert!(store.versions(10, None).unwrap().is_empty());
    for comment in ["a", "b", "c", "d", "e"] {
        // At one moment: they get numbers of their own.
        let which = Which::Template(comment.to_owned());
        save(&store, which, Some("[]"), comment, 1_000).await;
    }
    // A note that somebody put there is no version, and stays.
    std::fs::write(store.history().join("notes.json"), "mine").unwrap();
    std::fs::write(store.history().join("7.txt"), "mine").unwrap();
    let all = store.versions(10, None).unwrap();
    assert_eq!(comments(&all), ["e", "d", "c"]);
    let first = store.versions(2, None).unwrap();
    assert_eq!(comments(&first), ["e", "d"]);
    let second = store.versions(2, Some(first[1].id)).unwrap();
    assert_eq!(comments(&second), ["c"]);
    assert!(store.versions(2, Some(second[0].id)).unwrap().is_empty());
    save(&store, Which::Mappings, None, "f", 2_000).await;
    assert_eq!(
        comments(&store.versions(10, None).unwrap()),
        ["f", "e", "d"]
    );
    assert!(store.history().join("notes.json").exists());
    assert!(store.history().join("7.txt").exists());
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_version_is_found_by_its_number_and_a_broken_one_hides_no_other() {
    let (folder, store) = store("broken", 5);
    for comment in ["a", "b"] {
        let which = Which::TopicMapping("t".to_owned());
        save(&store, which, Some(comment), comment, 1_000).await;
    }
    std::fs::write(store.version_file(1_005), "{").unwrap();
    assert_eq!(comments(&store.versions(2, None).unwrap()), ["b", "a"]);
    let found = store.version(1_001).unwrap().unwrap();
    assert_eq!((found.comment, found.text), ("b".into(), Some("a".into())));
    assert!(store.version(999).unwrap().is_none());
    let error = store.version(1_005).unwrap_err().to_string();
    assert!(error.contains("1005.json"), "{error}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn odd_files_among_the_versions_are_left_alone() {
    let (folder, store) = store("odd", 2);
    save(&store, Which::Mappings, Some("{}"), "first", 1_000).await;
    let own = std::fs::read_to_string(store.version_file(1_000)).unwrap();
    let odd = [
        "007.json",
        "+8.json",
        "-1.json",
        "9223372036854775807.json",
        "1e3.json",
    ];
    for name in odd {
        std::fs::write(store.history().join(name), &own).unwrap();
    }
    // Copied by hand: what counts is its name.
    std::fs::write(store.version_file(1_500), own.replace("first", "copied")).unwrap();
    let escapes = own.replace("\"mappings\"", "\"template\", \"name\": \"../../x\"");
    std::fs::write(store.version_file(1_400), escapes).unwrap();
    assert!(store.version(1_400).is_err());
    let all = store.versions(10, None).unwrap();
    assert_eq!(
        all.iter().map(|one| one.id).collect::<Vec<_>>(),
        [1_500, 1_000]
    );
    assert_eq!(store.version(1_500).unwrap().unwrap().comment, "copied");
    // One that cannot be removed holds up no other.
    std::fs::create_dir(store.version_file(900)).unwrap();
    std::fs::write(store.version_file(800), &own).unwrap();
    save(&store, Which::Mappings, Some("{}"), "second", 1_000).await;
    assert_eq!(
        comments(&store.versions(10, None).unwrap()),
        ["second", "copied"]
    );
    assert!(!store.version_file(800).exists() && store.version_file(900).exists());
    assert!(odd.iter().all(|name| store.history().join(name).exists()));
    std::fs::write(store.version_file(LAST_ID), &own).unwrap();
    let saving = store.saving().await.unwrap();
    let full = store.save(&saving, Which::Mappings, None, "third", 1_000);
    let error = full.unwrap_err().to_string();
    assert!(error.contains("8640000000000001.json"), "{error}");
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test(start_paused = true)]
async fn workers_save_one_after_the_other() {
    let (folder, first) = store("two", 5);
    let second = first.clone();
    let saving = first.saving().await.unwrap();
    let error = second.saving().await.unwrap_err().to_string();
    assert!(error.contains("another worker"), "{error}");
    drop(saving);
    second.saving().await.unwrap();
    // Both get a number and a file of their own where the volume has no locks, too.
    assert_ne!(first.claim(7).unwrap(), second.claim(7).unwrap());
    let (one, other) = (first.path(&Which::Mappings), second.path(&Which::Mappings));
    assert_ne!(beside(&one).unwrap().0, beside(&other).unwrap().0);
    assert!(
        first.versions(10, None).unwrap().is_empty(),
        "claimed, not written"
    );
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn a_page_of_long_texts_ends_early() {
    let (folder, store) = store("long", 10);
    let long = "x".repeat(MOST_BYTES / 2);
    for comment in ["a", "b", "c", "d"] {
        save(
            &store,
            Which::Template("t".into()),
            Some(&long),
            comment,
            1_000,
        )
        .await;
    }
    let first = store.versions(10, None).unwrap();
    assert_eq!(comments(&first), ["d", "c"]);
    let second = store.versions(10, Some(first[1].id)).unwrap();
    assert_eq!(comments(&second), ["b", "a"]);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_mapping_does_not_write_over_its_own_configuration() {
    let (folder, _) = store("own", 5);
    std::fs::create_dir_all(folder.join("data")).unwrap();
    std::fs::write(folder.join("mappings.json"), "{}").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.join("mappings.json"), folder.join("data/link.json"))
        .unwrap();
    let text = |name: &str| folder.join(name).display().to_string();
    let refused = |vars: &[(&str, String)], target: &str| {
        let vars = vars
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()));
        let store = Store::new(&translate(&vars.collect()).unwrap().0);
        let mapping = serde_json::json!({ "mappings": [{
            "name": "m", "source_topic_name": "A", "target_topic_name": target, "target_is_file": true
        }] });
        let loaded = replicator_domain::load("mappings.json", &mapping.to_string(), &|_| None);
        let issues = store.taken(&loaded.mappings);
        issues.iter().map(ToString::to_string).collect::<String>()
    };
    let data = || ("FILE_DATA_PATH", text("data"));
    let beside = [("MAPPINGS_PATH", text("mappings.json")), data()];
    assert_eq!(refused(&beside, "B"), "");
    let own = refused(&[data()], "mappings");
    assert!(
        own.contains("`m`: `target_topic_name`") && own.contains("the mapping file"),
        "{own}"
    );
    let workers = [data(), ("WORKER_COUNT", "2".to_owned())];
    assert_eq!(refused(&workers, "mappings"), "", "its file is another one");
    if cfg!(unix) {
        let link = refused(&beside, "link");
        assert!(link.contains("the mapping file"), "{link}");
    }
    for (variable, what) in [
        ("TEMPLATES_PATH", "a template"),
        ("TOPIC_MAPPINGS_PATH", "a table"),
    ] {
        let inside = refused(&[data(), (variable, text("data/../data"))], "B");
        assert!(inside.contains(what), "{inside}");
    }
    let history = [
        ("FILE_DATA_PATH", text("history")),
        ("MAPPINGS_PATH", text("mappings.json")),
    ];
    let version = refused(&history, "7");
    assert!(version.contains("a version"), "{version}");
    std::fs::remove_dir_all(folder).unwrap();
}
