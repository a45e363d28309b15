use proptest::prelude::*;

use super::*;

const OVERFLOW: &[u8] = include_bytes!("../../../tests/data/configdb/overflow.db");

/// A database of two pages of 512 bytes: the schema, and a table page that each test writes.
fn small(kind: u8, cells: &[&[u8]], rightmost: u32) -> Vec<u8> {
    let mut file = vec![0; 1024];
    file[..16].copy_from_slice(MAGIC);
    file[16..24].copy_from_slice(&[2, 0, 1, 1, 0, 64, 32, 32]);
    file[59] = 1;
    let sql = b"CREATE TABLE t(id INTEGER PRIMARY KEY, v)";
    let mut record = vec![6, 23, 15, 15, 1, u8::try_from(13 + 2 * sql.len()).unwrap()];
    record.extend(b"tablett\x02");
    record.extend(sql);
    let mut cell = vec![u8::try_from(record.len()).unwrap(), 1];
    cell.extend(record);
    write_page(&mut file[..512], 100, LEAF, &[&cell], 0);
    write_page(&mut file[512..], 0, kind, cells, rightmost);
    file
}

const LEAF: u8 = 0x0d;
const INTERIOR: u8 = 0x05;

fn write_page(page: &mut [u8], start: usize, kind: u8, cells: &[&[u8]], rightmost: u32) {
    let mut end = page.len();
    page[start] = kind;
    page[start + 4] = u8::try_from(cells.len()).unwrap();
    page[start + 8..start + 12].copy_from_slice(&rightmost.to_be_bytes());
    let pointers = start + if kind == LEAF { 8 } else { 12 };
    for (index, cell) in cells.iter().enumerate() {
        end -= cell.len();
        page[end..end + cell.len()].copy_from_slice(cell);
        let at = pointers + 2 * index;
        page[at..at + 2].copy_from_slice(&u16::try_from(end).unwrap().to_be_bytes());
    }
}

fn read(file: &[u8]) -> Result<Vec<(i64, i64)>, Damage> {
    let database = Database::open(file, b"")?;
    let table = database.table("T")?;
    let mut rows = Vec::new();
    database.rows(&table, |values| {
        rows.push((values[0].integer().unwrap(), values[1].integer().unwrap_or(-1)));
        Ok(())
    })?;
    Ok(rows)
}

/// A row with an integer of one byte.
fn row(id: u8, value: u8) -> [u8; 6] {
    [4, id, 3, 0, 1, value]
}

#[test]
fn rows_are_read_and_the_row_id_stands_in_its_column() {
    assert_eq!(read(&small(LEAF, &[&row(1, 7), &row(5, 9)], 0)), Ok(vec![(1, 7), (5, 9)]));
    assert_eq!(read(&small(LEAF, &[], 0)), Ok(vec![]));
}

#[test]
fn a_cycle_of_pages_ends() {
    let cell = [0, 0, 0, 2, 9];
    for (cells, rightmost) in [(vec![&cell[..]], 2), (vec![], 2), (vec![], 1), (vec![], 0), (vec![], 3)] {
        assert!(read(&small(INTERIOR, &cells, rightmost)).is_err());
    }
}

#[test]
fn a_row_whose_pages_go_round_in_a_circle_ends() {
    // The first overflow page of the large file leads to itself.
    let mut file = OVERFLOW.to_vec();
    let page = (1..file.len() / 4096)
        .find(|page| file[page * 4096 + 4..].starts_with(b"00") || file[page * 4096 + 4] == b'\n')
        .unwrap();
    file[page * 4096..page * 4096 + 4].copy_from_slice(&u32::try_from(page + 1).unwrap().to_be_bytes());
    let database = Database::open(&file, b"").unwrap();
    let table = database.table("tree").unwrap();
    let damage = database.rows(&table, |_| Ok(())).unwrap_err();
    assert!(damage.0.contains("used twice"), "{damage}");
}

#[test]
fn rows_out_of_order_and_rows_that_do_not_add_up_are_damage() {
    let bad: [&[&[u8]]; 6] = [
        &[&row(5, 7), &row(1, 9)],
        &[&row(1, 7), &row(1, 9)],
        &[&[4, 1, 3, 0, 2, 7]],
        &[&[4, 1, 3, 0, 10, 7]],
        &[&[200, 200, 1, 1, 3, 0, 1, 7]],
        &[&[255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 3, 0, 1, 7]],
    ];
    for cells in bad {
        assert!(read(&small(LEAF, cells, 0)).is_err(), "{cells:?}");
    }
}

#[test]
fn a_header_that_sqlite_refuses_is_damage() {
    for (at, byte) in [(0, b'T'), (16, 3), (19, 3), (19, 0), (20, 200), (21, 63), (59, 2)] {
        let mut file = small(LEAF, &[&row(1, 7)], 0);
        file[at] = byte;
        assert!(read(&file).is_err(), "byte {at}");
    }
}

#[test]
fn numbers_have_one_to_nine_bytes() {
    assert_eq!(varint(&[0x7f]), Some((127, 1)));
    assert_eq!(varint(&[0x81, 0]), Some((128, 2)));
    assert_eq!(varint(&[255; 9]), Some((-1, 9)));
    assert_eq!(varint(&[0x80]), None);
}

#[test]
fn values_keep_their_sign_and_kind() {
    let record = [6, 1, 2, 8, 9, 0, 0xff, 0x80, 0];
    let expected = [-1, -32768, 0, 1].map(Value::Integer);
    let values = record::read(&record).unwrap();
    assert_eq!(values[..4], expected);
    assert_eq!(values[4], Value::Null);
}

#[test]
fn a_table_without_row_ids_or_with_computed_columns_is_not_understood() {
    let of = |sql: &str| schema::table(2, sql.as_bytes());
    assert_eq!(of("CREATE TABLE t(a INTEGER PRIMARY KEY, b)").unwrap().row_id, Some(0));
    assert_eq!(of("CREATE TABLE t(a INT PRIMARY KEY, b)").unwrap().row_id, None);
    for sql in [
        "CREATE TABLE t(a PRIMARY KEY) WITHOUT ROWID",
        "CREATE TABLE t(a, b AS (a+1))",
        "CREATE TABLE t(a INTEGER, b, PRIMARY KEY(a))",
        "CREATE TABLE t(a",
        "CREATE TABLE t",
        "",
    ] {
        assert!(of(sql).is_err(), "{sql}");
    }
}

#[test]
fn only_a_journal_that_was_begun_is_hot() {
    assert!(is_hot_journal(&[0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7, 0, 0]));
    assert!(!is_hot_journal(b""));
    assert!(!is_hot_journal(&[0; 512]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn arbitrary_pages_never_panic(page in prop::collection::vec(any::<u8>(), 512), kind in prop_oneof![Just(LEAF), Just(INTERIOR)]) {
        let mut file = small(kind, &[], 2);
        file[513..].copy_from_slice(&page[1..]);
        file[515] = 0;
        drop(read(&file));
    }

    #[test]
    fn integers_are_read_as_they_were_written(value in any::<i64>()) {
        let mut bytes = vec![2, 6];
        bytes.extend(value.to_be_bytes());
        prop_assert_eq!(record::read(&bytes).unwrap(), [Value::Integer(value)]);
    }
}
