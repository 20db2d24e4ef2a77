use super::*;

fn table() -> Table {
    let mut table = Table::new(&[("case", Align::Left), ("figure", Align::Right)]);
    table.row(vec!["图像/分割".to_owned(), "1".to_owned()]);
    table.row(vec!["seg|x".to_owned(), "12.5 images/s".to_owned()]);
    table
}

#[test]
fn columns_line_up_by_the_width_of_characters() {
    let expected = "\
case              figure
---------  -------------
图像/分割              1
seg|x      12.5 images/s
";
    assert_eq!(table().render(Format::Text), expected);
}

#[test]
fn markdown_escapes_its_own_bars() {
    let expected = "\
| case | figure |
| --- | ---: |
| 图像/分割 | 1 |
| seg\\|x | 12.5 images/s |
";
    assert_eq!(table().render(Format::Markdown), expected);
}

#[test]
fn control_characters_of_a_log_do_not_reach_the_terminal() {
    let note = table::note("x failed: \u{1b}[31mred\n  last\u{7} line\r\n", Format::Text);
    assert_eq!(note, "x failed: \u{fffd}[31mred\n  last\u{fffd} line\n");
}

#[test]
fn times_and_sizes_are_written_for_a_reader() {
    assert_eq!(columns::duration(0.04), "0.0 s");
    assert_eq!(columns::duration(59.94), "59.9 s");
    assert_eq!(columns::duration(61.0), "1 min 01 s");
    assert_eq!(columns::duration(26_053.0), "7 h 14 min");
    assert_eq!(columns::memory(512 << 20), "512 MiB");
    assert_eq!(columns::memory(1_986_422_374), "1.8 GiB");
}
