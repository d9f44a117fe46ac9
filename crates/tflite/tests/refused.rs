//! What cannot be imported is refused with words that help.

mod golden;

use dtmm_tflite::import;

#[test]
fn errors_name_everything_at_once() {
    let cases = golden::load("refused");
    assert!(cases.len() >= 10);
    for case in cases {
        let model = case.model.expect("the model is in the file");
        let error = import(&model, "some.tflite").expect_err(&case.name);
        let text = error.to_string();
        assert!(text.contains("some.tflite"), "{text}");
        assert!(!error.help().is_empty());
        for words in case.name.split('|') {
            assert!(text.contains(words), "'{words}' is missing in: {text}");
        }
    }
}

#[test]
fn a_missing_file_is_named() {
    let error = dtmm_tflite::import_file("no/such/model.tflite").expect_err("it does not exist");
    assert!(error.to_string().contains("no/such/model.tflite"));
}
