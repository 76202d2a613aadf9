"""An event as bytes: the record that is stored, hashed and shown to auditors."""
