//! The reader of databases against SQLite itself, by Python's module `sqlite3`.
//!
//! Without it the test is skipped with a message: the databases that are checked in say the same, only less often.

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test may ask the real program")]
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
mod oracle {
    use std::fmt::Write as _;
    use std::fs;
    use std::path::Path;
    use std::process::Command;

    use pve_audit::formats::sqlite::{Damage, Database, Value};

    const DATABASES: usize = 40;

    /// Writes databases as a running program leaves them, damages some, and prints what SQLite reads of a copy: one
    /// line each, the number of the database and what was damaged, then the rows or `error`.
    const SCRIPT: &str = r#"
import os, random, shutil, sqlite3, sys
folder, count = sys.argv[1], int(sys.argv[2])
for number in range(count):
    rng = random.Random(number)
    live, path = f"{folder}/live.db", f"{folder}/{number}.db"
    for end in ("", "-wal", "-shm"):
        if os.path.exists(live + end):
            os.remove(live + end)
    db = sqlite3.connect(live, isolation_level=None)
    db.execute(f"PRAGMA page_size={rng.choice([512, 1024, 4096, 65536])}")
    db.execute(f"PRAGMA auto_vacuum={rng.choice([0, 0, 1])}")
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=OFF")
    db.execute(f"PRAGMA wal_autocheckpoint={rng.choice([0, 5, 1000])}")
    db.execute("CREATE TABLE other (a, b)")
    db.execute("CREATE TABLE tree (inode INTEGER PRIMARY KEY NOT NULL, name TEXT NOT NULL, data BLOB)")
    db.execute("CREATE INDEX names ON tree (name)")
    for step in range(rng.choice([0, 5, 150])):
        action, inode = rng.random(), rng.choice([rng.randrange(200), rng.randrange(-5, 2**63)])
        if action < 0.7:
            size = rng.choice([0, 20, 300, 5000])
            data = rng.choice([None, rng.randrange(-2**40, 2**40), rng.random(), "x" * size, os.urandom(size)])
            db.execute("REPLACE INTO tree VALUES (?, ?, ?)", (inode, f"name {inode}", data))
        elif action < 0.9:
            db.execute("DELETE FROM tree WHERE inode % 3 = ?", (rng.randrange(3),))
        elif action < 0.95:
            db.execute(f"PRAGMA wal_checkpoint({rng.choice(['PASSIVE', 'RESTART', 'TRUNCATE'])})").fetchall()
        else:
            db.execute("INSERT INTO other VALUES (1, ?)", ("o" * 500,))
    if rng.random() < 0.2:
        db.execute("VACUUM")
    if rng.random() < 0.2:
        # A change that is too large for the cache, not committed: frames without an end.
        db.execute("PRAGMA cache_size=1")
        db.execute("BEGIN")
        for inode in range(20):
            db.execute("REPLACE INTO tree VALUES (?, 'open', ?)", (inode, os.urandom(3000)))
    for end in ("", "-wal"):
        shutil.copyfile(live + end, path + end)
    db.close()
    damage = ["none", "log", "log", "main"][number % 4]
    if damage != "none":
        end = "-wal" if damage == "log" else ""
        with open(path + end, "rb") as file:
            content = bytearray(file.read())
        if content and rng.random() < 0.7:
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        else:
            del content[rng.randrange(len(content) + 1):]
        with open(path + end, "wb") as file:
            file.write(content)
    for end in ("", "-wal"):
        shutil.copyfile(path + end, f"{folder}/copy.db" + end)
    try:
        copy = sqlite3.connect(f"{folder}/copy.db", isolation_level=None)
        copy.text_factory = bytes
        def shown(value):
            if isinstance(value, bytes): return value.hex()
            return repr(value)
        rows = copy.execute("SELECT inode, CAST(name AS BLOB), typeof(data), data FROM tree NOT INDEXED").fetchall()
        rows = ";".join(f"{i},{shown(n)},{t.decode()},{shown(d)}" for i, n, t, d in rows)
    except sqlite3.Error:
        rows = "error"
    copy.close()
    for end in ("", "-wal", "-shm"):
        if os.path.exists(f"{folder}/copy.db" + end):
            os.remove(f"{folder}/copy.db" + end)
    print(f"{number} {damage} {rows}")
"#;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
    }

    fn shown(value: &Value<'_>) -> String {
        match value {
            Value::Null => "null,None".to_owned(),
            Value::Integer(number) => format!("integer,{number}"),
            Value::Real(number) => format!("real,{number:?}"),
            Value::Text(bytes) => format!("text,{}", hex(bytes)),
            Value::Blob(bytes) => format!("blob,{}", hex(bytes)),
        }
    }

    fn read(main: &[u8], log: &[u8]) -> Result<String, Damage> {
        let database = Database::open(main, log)?;
        let table = database.table("tree")?;
        let mut rows = Vec::new();
        database.rows(&table, |values| {
            let [inode, name, data] = values else { return Err(Damage("other columns".to_owned())) };
            let inode = inode.integer().unwrap_or_default();
            rows.push(format!("{inode},{},{}", hex(name.bytes().unwrap_or_default()), shown(data)));
            Ok(())
        })?;
        Ok(rows.join(";"))
    }

    fn run(folder: &Path) -> Option<String> {
        let mut python = Command::new("python3");
        let output = python.arg("-c").arg(SCRIPT).arg(folder).arg(DATABASES.to_string()).output().ok()?;
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        if complaint.contains("No module named") {
            return None;
        }
        assert!(output.status.success(), "{complaint}");
        Some(String::from_utf8(output.stdout).unwrap())
    }

    #[test]
    fn every_database_reads_as_in_sqlite() {
        let folder = tempfile::tempdir().unwrap();
        let Some(answers) = run(folder.path()) else {
            eprintln!("skipped: there is no python3 with sqlite3");
            return;
        };
        let mut agreed = 0;
        for line in answers.lines() {
            let (number, rest) = line.split_once(' ').unwrap();
            let (damage, expected) = rest.split_once(' ').unwrap();
            let file = |end: &str| fs::read(folder.path().join(format!("{number}.db{end}"))).unwrap();
            let found = read(&file(""), &file("-wal"));
            match (&found, expected) {
                (Err(_), "error") => {}
                // Damage is found more often than by SQLite, which does not look at the order of the rows: a log that
                // was cut below pages of the main file that are newer gives a mixture of two states there.
                (Err(_), _) if damage != "none" => {}
                (Ok(found), expected) => assert_eq!(found, expected, "{number}: {damage} damaged"),
                (Err(why), _) => assert_eq!(expected, "", "{number}: {why}"),
            }
            agreed += usize::from(found.is_ok());
        }
        assert!(agreed > DATABASES / 2, "only {agreed} could be compared");
    }
}
