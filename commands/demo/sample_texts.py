"""What the sample database is filled with: invented names and plain office prose."""

from typing import Final

FIRST_NAMES: Final = (
    *("Ada", "Amir", "Beatriz", "Cem", "Dana", "Elif", "Farid", "Greta", "Hugo", "Ines"),
    *("Jonas", "Kemi", "Lena", "Mateo", "Nadia", "Oskar", "Priya", "Quinn", "Rosa", "Tomas"),
)
LAST_NAMES: Final = (
    *("Adler", "Brandt", "Costa", "Diallo", "Eriksen", "Fischer", "Garcia", "Haddad", "Ivanova"),
    *("Jensen", "Kaya", "Lindqvist", "Moreau", "Nowak", "Okafor", "Petrov", "Rossi", "Tanaka"),
)
CITIES: Final = ("Berlin", "Hamburg", "New York", "Boston", "Pune", "Chennai", "Zürich", "Gent")
CASE_KINDS: Final = (
    "unfair dismissal",
    "rent arrears",
    "breach of contract",
    "custody",
    "building defects",
    "unpaid invoices",
)
DOCUMENTS: Final = (
    "Statement of claim",
    "Statement of defence",
    "Witness statement",
    "Expert opinion",
    "Letter to the other side",
    "Power of attorney",
    "Settlement draft",
)
DEADLINES: Final = (
    "File the defence",
    "Answer the court's question",
    "Pay the court fee",
    "Send the expert's opinion",
    "Appeal at the latest",
)
NOTES: Final = (
    "Client called: wants to settle if the other side moves first.",
    "Spoke to the court's office; the hearing moves by two weeks.",
    "Photographs received, filed with the expert opinion.",
    "Other side has changed counsel. Ask for their power of attorney.",
    "Client will bring the original contract on Thursday.",
    "Draft looked over, two paragraphs to be shortened.",
)
ACTIVITIES: Final = ("Drafting", "Telephone", "Meeting", "Research", "Court", "Correspondence")
PARAGRAPHS: Final = (
    (
        "The parties signed the contract in the presence of a notary. Its third section sets out "
        "what was to be delivered, by when, and at whose cost."
    ),
    (
        "On the day of the handover the defects listed in annex 2 were visible to anybody. The "
        "defendant was told of them in writing within the week, and did not answer."
    ),
    (
        "We therefore ask the court to order payment of the sum named above, with interest from "
        "the day on which it fell due, and to put the costs on the defendant."
    ),
    (
        "The witness was present throughout and kept notes at the time. Copies are attached; the "
        "originals are with us and can be inspected after an appointment."
    ),
    (
        "Should the other side accept until the end of the month, our client is ready to bear half "
        "of the costs. This offer is made without prejudice."
    ),
)
