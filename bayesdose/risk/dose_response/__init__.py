"""Binary outcome against absorbed dose: tumour control, complications of normal tissue."""
