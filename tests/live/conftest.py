"""What tests of all parts import, `whole_market`, is found by this file being here."""
